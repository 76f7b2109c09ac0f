"""Sampled images on disk: one Parquet part for each batch, each a unit of work that can be recognised as done."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Int, UInt8

from otcondense.diffusion.sampler import SamplerConfig
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint, read_fingerprint
from otcondense.store.images import read_images, write_images

SAMPLES_SCHEMA_VERSION = 1
SCHEDULING_FIELDS = {"num_samples"}


def part_name(part: int) -> str:
    """Return the file name of one part."""
    return f"part-{part:05d}.parquet"


def samples_fingerprint(config: SamplerConfig, checkpoint: dict[str, Any]) -> str:
    """Return the fingerprint of samples: of the sampler and of the weights in the checkpoint whose JSON is given."""
    kept = {
        name: value for name, value in config.identity().items() if name not in SCHEDULING_FIELDS
    }
    return fingerprint(
        [
            SAMPLES_SCHEMA_VERSION,
            kept,
            checkpoint["files"][config.weights]["sha256"],
            checkpoint["objective"],
        ]
    )


def sampling_units(config: SamplerConfig) -> list[dict[str, Any]]:
    """Return the units of work: one batch each, with the `name` of its file, its `first` image index and the `count` of images."""
    starts = range(0, config.num_samples, config.batch_size)
    return [
        {
            "name": part_name(part),
            "first": first,
            "count": min(config.batch_size, config.num_samples - first),
        }
        for part, first in enumerate(starts)
    ]


def is_sampled(store: Store, directory: str, unit: dict[str, Any], wanted: str) -> bool:
    """Tell whether the part of `unit` is there, whole and with the fingerprint `wanted`."""
    return read_fingerprint(store, f"{directory}/{unit['name']}") == fingerprint(
        [wanted, unit["count"]]
    )


def write_part(
    store: Store,
    directory: str,
    unit: dict[str, Any],
    samples: tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]],
    wanted: str,
) -> None:
    """Write the images and classes of one unit."""
    images, labels = samples
    indices = np.arange(unit["first"], unit["first"] + unit["count"])
    name = f"{directory}/{unit['name']}"
    write_images(
        store,
        name,
        images,
        labels,
        indices=indices,
        fingerprint=fingerprint([wanted, unit["count"]]),
    )


def iterate_samples(
    store: Store, directory: str, num_samples: int
) -> Iterator[tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]]:
    """Yield the first `num_samples` sampled images below `directory` and the class of each, a part at a time, in the order of their indices.

    Raises: InputError if there are fewer, or a part is damaged.
    """
    found = 0
    for name in (
        name for name in store.list(directory) if name.rsplit("/", 1)[-1].startswith("part-")
    ):
        images, labels = read_images(store, name)
        left = num_samples - found
        found += len(labels)
        yield images[:left], labels[:left]
        if found >= num_samples:
            return
    raise InputError(
        f"{store.path(directory)} must hold {num_samples} samples, found {found}; run `python -m jobs.sample` first"
    )


def read_samples(
    store: Store, directory: str, num_samples: int
) -> tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]:
    """Return the samples that `iterate_samples` yields in one array, and the class of each.

    Raises: InputError as it does.
    """
    parts = list(iterate_samples(store, directory, num_samples))
    return np.concatenate([images for images, _ in parts]), np.concatenate(
        [labels for _, labels in parts]
    )
