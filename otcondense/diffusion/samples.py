"""Sampled images on disk: one Parquet file for each part; finished parts are recognised."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow.parquet as pq
from jaxtyping import Int, UInt8

from otcondense.diffusion.sample_parts import (
    SAMPLES_SCHEMA_VERSION,
    SamplePart,
    part_name,
    samples_fingerprint,
    sampling_units,
)
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint, read_columns, read_fingerprint
from otcondense.store.images import read_images, write_images

__all__ = [
    "SAMPLES_SCHEMA_VERSION",
    "SamplePart",
    "is_sampled",
    "iterate_samples",
    "part_name",
    "read_samples",
    "sample_files",
    "sample_prompts",
    "samples_fingerprint",
    "sampling_units",
    "too_few_samples",
    "write_part",
]


def is_sampled(store: Store, directory: str, part: SamplePart, wanted: str) -> bool:
    """Tell whether `part` is stored, undamaged and with the fingerprint `wanted`."""
    stored = read_fingerprint(store, f"{directory}/{part.name}")
    return stored == fingerprint([wanted, part.count])


def write_part(
    store: Store,
    directory: str,
    part: SamplePart,
    samples: tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]],
    wanted: str,
    prompts: Sequence[str] | None = None,
) -> None:
    """Write the images, classes and prompts of one part with the fingerprint `wanted`."""
    images, labels = samples
    write_images(
        store,
        f"{directory}/{part.name}",
        images,
        labels,
        indices=np.arange(part.first, part.first + part.count),
        prompts=prompts,
        fingerprint=fingerprint([wanted, part.count]),
    )


def iterate_samples(
    store: Store, directory: str, num_samples: int
) -> Iterator[tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]]:
    """Yield the first `num_samples` images below `directory` and their classes, part by part.

    The parts come in the order of their indices.

    Raises: InputError if there are fewer, or a part is damaged.
    """
    found = 0
    for name in sample_files(store, directory):
        images, labels = read_images(store, name)
        left = num_samples - found
        found += len(labels)
        yield images[:left], labels[:left]
        if found >= num_samples:
            return
    raise too_few_samples(store, directory, num_samples, found)


def sample_files(store: Store, directory: str) -> list[str]:
    """Return the names of the files of samples below a directory, in the order of their indices."""
    return [name for name in store.list(directory) if name.rsplit("/", 1)[-1].startswith("part-")]


def sample_prompts(store: Store, directory: str, num_samples: int) -> list[str] | None:
    """Return the prompts of the first samples; None if they were not sampled from prompts.

    Raises: InputError if there are fewer, or a part is damaged.
    """
    found: list[str] = []
    for name in sample_files(store, directory):
        with store.open(name) as opened:
            if "prompt" not in pq.read_schema(opened).names:
                return None
        found += read_columns(store, name, ["prompt"]).column("prompt").to_pylist()
        if len(found) >= num_samples:
            return found[:num_samples]
    raise too_few_samples(store, directory, num_samples, len(found))


def too_few_samples(store: Store, directory: str, wanted: int, found: int) -> InputError:
    """Return the error about missing samples."""
    return InputError(
        f"{store.path(directory)} must hold {wanted} samples, found {found}; "
        "run `otcondense sample` first"
    )


def read_samples(
    store: Store, directory: str, num_samples: int
) -> tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]:
    """Return the first `num_samples` images in one array, and the class of each.

    Raises: InputError as `iterate_samples` does.
    """
    parts = list(iterate_samples(store, directory, num_samples))
    images = np.concatenate([part for part, _ in parts])
    labels = np.concatenate([part for _, part in parts])
    return images, labels
