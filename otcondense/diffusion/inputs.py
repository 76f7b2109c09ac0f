"""Latents, tokens and text of a subset, read from their files into training data."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16
from torch import Tensor

from otcondense.diffusion.data import Moments, TrainingSet, fill, fits
from otcondense.diffusion.node_tables import any_worker, tables_on
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.representations.captions import EMBEDDING
from otcondense.representations.text_config import CAPTIONS
from otcondense.store import (
    Representation,
    Store,
    read_array,
    read_manifest,
    read_table,
    stored_metadata,
)

HALF_BYTES = 2
"""Size of a float16."""
MOMENTS = ("mean", "std")
COLUMNS = {"latents": MOMENTS, "tokens": ("tokens",), CAPTIONS: (EMBEDDING,)}
"""Columns of the files of each kind; latents without a posterior have no `std`."""


@dataclass(frozen=True)
class Inputs:
    """Places of the inputs, relative to the root of the run; empty if they are not used."""

    manifest: str = ""
    """The subset: it decides the rows to read, and their order."""
    latents: str = ""
    """Directory of the latents."""
    tokens: str = ""
    """Directory of the tokens."""
    text: str = ""
    """File of the text embeddings of class names."""
    autoencoder: str = ""
    """Name or folder of the model that decodes latents."""
    captions: str = ""
    """Directory of the embeddings of captions."""

    def used_kinds(self) -> Iterator[str]:
        """Yield the kinds with a directory: latents, tokens, captions."""
        for kind in COLUMNS:
            if self.directory(kind):
                yield kind

    def directory(self, kind: str) -> str:
        """Return the directory of the latents, tokens or captions."""
        places = {"latents": self.latents, "tokens": self.tokens, CAPTIONS: self.captions}
        return places[kind]


@dataclass(frozen=True)
class _Class:
    name: str
    places: list[int]
    """Rows of the manifest."""
    images: list[tuple[str, str]]
    """ID and SHA-256 of each image."""


@dataclass(frozen=True)
class _Subset:
    """The images of the manifest."""

    classes: list[_Class]
    labels: list[int]
    """Class index of every row."""

    @property
    def first_class(self) -> str:
        """Name of the class that is read to find out shapes and facts."""
        return self.classes[0].name


def _read_subset(store: Store, inputs: Inputs) -> _Subset:
    columns = ["image_id", "class_name", "class_index", "sha256"]
    rows = read_manifest(store, inputs.manifest).select(columns).to_pylist()
    found: dict[str, _Class] = {}
    for place, row in enumerate(rows):
        each = found.setdefault(row["class_name"], _Class(row["class_name"], [], []))
        each.places.append(place)
        each.images.append((row["image_id"], row["sha256"]))
    return _Subset(list(found.values()), [row["class_index"] for row in rows])


def first_class(store: Store, inputs: Inputs) -> str:
    """Return the name of the class that is read to find out shapes and facts."""
    return _read_subset(store, inputs).first_class


def representation(store: Store, inputs: Inputs, kind: str) -> Representation:
    """Return the latents, tokens or captions of a run."""
    return Representation(store, inputs.directory(kind))


def inputs_identity(store: Store, inputs: Inputs) -> list[str]:
    """Return what decides the used latents, tokens, captions and text.

    Returns: for latents, tokens and captions the directory and the hash of the weights; for
        captions also the fingerprints of the files, which know the captions; for the text of class
        names the file and the hash of its content.

    Raises: InputError if they are missing.
    """
    found = []
    for kind in inputs.used_kinds():
        subset, source = _read_subset(store, inputs), representation(store, inputs, kind)
        facts = source.metadata(subset.first_class)
        found += [inputs.directory(kind), str(facts["weights_sha256"])]
        if kind == CAPTIONS:
            found += [str(source.metadata(each.name)["fingerprint"]) for each in subset.classes]
    if inputs.text:
        metadata = stored_metadata(store, inputs.text)
        if metadata is None:
            raise _missing_text(store, inputs)
        found += [inputs.text, str(metadata["content"])]
    return found


def _missing_text(store: Store, inputs: Inputs) -> InputError:
    return InputError(
        f"text embeddings {store.path(inputs.text)} are missing; "
        "run `otcondense extract_text` first"
    )


def check_inputs(store: Store, inputs: Inputs, config: TrainingConfig) -> None:
    """Check that every latent and token is there, without reading them.

    Raises: InputError naming the class file and the first image that is missing.
    """
    for kind in config.stored_kinds:
        source = representation(store, inputs, kind)
        for each in _read_subset(store, inputs).classes:
            source.check(each.name, each.images, mirrored=_is_mirrored(config, kind))


def _is_mirrored(config: TrainingConfig, kind: str) -> bool:
    """Tell whether a training reads the mirror images of a kind; captions have none."""
    return config.flip and kind != CAPTIONS


def load_inputs(
    store: Store,
    inputs: Inputs,
    config: TrainingConfig,
    device: str,
    pixels: TrainingSet | None = None,
) -> TrainingSet:
    """Return the training data: `pixels` or latents, with tokens and captions if configured.

    Raises: InputError as `check_inputs` does.
    """
    kinds = config.stored_kinds
    if not kinds:
        assert pixels is not None
        return pixels

    subset = _read_subset(store, inputs)
    shapes = _shapes(store, inputs, subset, config)
    total = sum(HALF_BYTES * prod(shape) for shape in shapes.values())
    streamed = any_worker(not fits(total, device, config.resident_gb), device)

    def fill_all(tables: dict[str, Tensor]) -> None:
        for kind in kinds:
            source = representation(store, inputs, kind)
            names = tuple(name for name in COLUMNS[kind] if name in tables)
            columns = {name: tables[name] for name in names}
            readers = [
                (each.places, _reader(source, each, names, _is_mirrored(config, kind)))
                for each in subset.classes
            ]
            fill(columns, readers)

    tables = tables_on(device, shapes, fill_all, streamed=streamed)
    tokens, captions = tables.get("tokens"), tables.get(EMBEDDING)
    if pixels is not None:
        return replace(pixels, tokens=tokens, captions=captions, streamed=streamed)
    facts = representation(store, inputs, "latents").metadata(subset.first_class)
    scaling = (facts["scaling_factor"], facts["shift_factor"])
    moments = Moments(tables["mean"], tables.get("std"), *scaling)
    labels = torch.tensor(subset.labels, device=device)
    return TrainingSet(moments, labels, tokens, captions=captions, streamed=streamed)


def _shapes(
    store: Store, inputs: Inputs, subset: _Subset, config: TrainingConfig
) -> dict[str, tuple[int, ...]]:
    """Return the shape [images, orientations, ...] of each column that training reads."""
    images = len(subset.labels)
    shapes: dict[str, tuple[int, ...]] = {}
    for kind in config.stored_kinds:
        orientations = 2 if _is_mirrored(config, kind) else 1
        source = representation(store, inputs, kind)
        stored = source.row_shapes(subset.first_class)
        for column in COLUMNS[kind]:
            if column in stored:
                shapes[column] = (images, orientations, *stored[column])
    return shapes


def _reader(
    source: Representation,
    each: _Class,
    columns: tuple[str, ...],
    mirrored: bool,  # noqa: FBT001
) -> Callable[[], dict[str, Any]]:
    return partial(source.read, each.name, each.images, columns, mirrored=mirrored)


def first_labels(store: Store, inputs: Inputs, count: int) -> list[int]:
    """Return the classes of the first `count` images of the manifest."""
    return _read_subset(store, inputs).labels[:count]


def first_captions(store: Store, inputs: Inputs, count: int) -> Float16[np.ndarray, "n words e"]:
    """Return the embeddings of the captions of the first `count` images of the manifest.

    Raises: InputError if they are missing.
    """
    source = representation(store, inputs, CAPTIONS)
    found: dict[int, np.ndarray] = {}
    for each in _read_subset(store, inputs).classes:
        wanted = [number for number, place in enumerate(each.places) if place < count]
        if not wanted:
            continue
        images = [each.images[number] for number in wanted]
        rows = source.read(each.name, images, (EMBEDDING,), mirrored=False)[EMBEDDING]
        found |= {each.places[number]: row[0] for number, row in zip(wanted, rows, strict=True)}
    return np.stack([found[place] for place in sorted(found)])


def load_text(store: Store, inputs: Inputs, num_classes: int) -> Float16[Tensor, "classes t d"]:
    """Return the text embeddings of every class; padding is set to 0.

    Raises: InputError if the file is missing, or does not have every class.
    """
    if not store.exists(inputs.text):
        raise _missing_text(store, inputs)
    table = read_table(store, inputs.text)
    if table.column("class_index").to_pylist() != list(range(num_classes)):
        raise InputError(
            f"{store.path(inputs.text)} must have the classes 0 to {num_classes - 1}, "
            f"found {len(table)} classes; run `otcondense extract_text` again"
        )
    tokens = read_array(table, "tokens")
    mask = read_array(table, "mask")
    return torch.from_numpy(tokens * mask[..., None].astype(np.float16))
