"""Latents, tokens and text of a subset, read from where they were extracted into what training wants."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float16
from torch import Tensor

from otcondense.diffusion.data import Moments, TrainingSet, allocate, fill, fits
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import (
    Representation,
    Store,
    read_array,
    read_manifest,
    read_table,
    stored_metadata,
)

HALF_BYTES = 2
MOMENTS = ("mean", "std")
COLUMNS = {"latents": MOMENTS, "tokens": ("tokens",)}


@dataclass(frozen=True)
class Inputs:
    """Where they are, relative to the root of the run; empty where they are not used."""

    manifest: str = ""
    """The subset, which says which rows to take and in which order."""
    latents: str = ""
    """Directory of the latents."""
    tokens: str = ""
    """Directory of the tokens."""
    text: str = ""
    """File of the text embeddings."""
    autoencoder: str = ""
    """Name or folder of the model that decodes latents."""


@dataclass(frozen=True)
class _Class:
    name: str
    places: list[int]
    """Rows of the manifest."""
    images: list[tuple[str, str]]


def _classes(store: Store, inputs: Inputs) -> tuple[list[_Class], list[int]]:
    """Return the images of each class, and the class index of every row of the manifest."""
    rows = (
        read_manifest(store, inputs.manifest)
        .select(["image_id", "class_name", "class_index", "sha256"])
        .to_pylist()
    )
    found: dict[str, _Class] = {}
    for place, row in enumerate(rows):
        each = found.setdefault(row["class_name"], _Class(row["class_name"], [], []))
        each.places.append(place)
        each.images.append((row["image_id"], row["sha256"]))
    return list(found.values()), [row["class_index"] for row in rows]


def representation(store: Store, inputs: Inputs, kind: str) -> Representation:
    """Return the latents or tokens of a run."""
    return Representation(store, getattr(inputs, kind), f"jobs.extract_{kind}")


def latent_shape(store: Store, inputs: Inputs) -> tuple[int, int, int]:
    """Return channels, height and width of the latents.

    Raises: InputError if there are none.
    """
    shape = representation(store, inputs, "latents").row_shape(
        _classes(store, inputs)[0][0].name, "mean"
    )
    return (shape[0], shape[1], shape[2])


def token_width(store: Store, inputs: Inputs) -> int:
    """Return the width of the tokens.

    Raises: InputError if there are none.
    """
    return representation(store, inputs, "tokens").row_shape(
        _classes(store, inputs)[0][0].name, "tokens"
    )[1]


def inputs_identity(store: Store, inputs: Inputs) -> list[str]:
    """Return what the latents, tokens and text that are used were made with: their places, and the weights or content of their files.

    Raises: InputError if they are missing.
    """
    found = []
    for kind in (kind for kind in COLUMNS if getattr(inputs, kind)):
        first = _classes(store, inputs)[0][0].name
        found += [
            getattr(inputs, kind),
            str(representation(store, inputs, kind).metadata(first)["weights_sha256"]),
        ]
    if inputs.text:
        facts = stored_metadata(store, inputs.text)
        if facts is None:
            raise InputError(
                f"there are no text embeddings {store.path(inputs.text)}; run `python -m jobs.extract_text` first"
            )
        found += [inputs.text, str(facts["content"])]
    return found


def check_inputs(store: Store, inputs: Inputs, config: TrainingConfig) -> None:
    """Check that every latent and token is there, without reading them.

    Raises: InputError naming the class file and the first image that is missing.
    """
    for kind in config.representations:
        for each in _classes(store, inputs)[0]:
            representation(store, inputs, kind).check(each.name, each.images, mirrored=config.flip)


def load_inputs(
    store: Store,
    inputs: Inputs,
    config: TrainingConfig,
    device: str,
    pixels: TrainingSet | None = None,
) -> TrainingSet:
    """Return the training data: `pixels`, or latents, with the tokens of the images beside them.

    Raises: InputError as `check_inputs` does, or if tokens and model do not have the same grid.
    """
    kinds = config.representations
    if not kinds:
        assert pixels is not None
        return pixels
    classes, labels = _classes(store, inputs)
    shapes = _shapes(store, inputs, kinds, classes, mirrored=config.flip)
    streamed = not fits(
        sum(HALF_BYTES * int(np.prod(shape)) for shape in shapes.values()),
        device,
        config.resident_gb,
    )
    tables = {
        column: allocate(shape, device, streamed=streamed) for column, shape in shapes.items()
    }
    for kind in kinds:
        source = representation(store, inputs, kind)
        columns = {column: tables[column] for column in COLUMNS[kind]}
        fill(
            columns,
            [
                (each.places, _reader(source, each, COLUMNS[kind], mirrored=config.flip))
                for each in classes
            ],
        )
    tokens = tables.get("tokens")
    if pixels is not None:
        return TrainingSet(pixels.source, pixels.labels, tokens, streamed)
    facts = representation(store, inputs, "latents").metadata(classes[0].name)
    moments = Moments(tables["mean"], tables["std"], facts["scaling_factor"], facts["shift_factor"])
    return TrainingSet(moments, torch.tensor(labels, device=device), tokens, streamed)


def _shapes(
    store: Store, inputs: Inputs, kinds: list[str], classes: list[_Class], *, mirrored: bool
) -> dict[str, tuple[int, ...]]:
    count, orientations, name = (
        sum(len(each.images) for each in classes),
        2 if mirrored else 1,
        classes[0].name,
    )
    return {
        column: (count, orientations, *representation(store, inputs, kind).row_shape(name, column))
        for kind in kinds
        for column in COLUMNS[kind]
    }


def _reader(
    source: Representation, each: _Class, columns: tuple[str, ...], *, mirrored: bool
) -> Callable[[], dict[str, Any]]:
    return partial(source.read, each.name, each.images, columns, mirrored=mirrored)


def load_text(store: Store, inputs: Inputs, num_classes: int) -> Float16[Tensor, "classes t d"]:
    """Return the text embeddings of every class, those of padding set to 0.

    Raises: InputError if the file is missing, or does not hold every class.
    """
    if not store.exists(inputs.text):
        raise InputError(
            f"there are no text embeddings {store.path(inputs.text)}; run `python -m jobs.extract_text` first"
        )
    table = read_table(store, inputs.text)
    if table.column("class_index").to_pylist() != list(range(num_classes)):
        raise InputError(
            f"{store.path(inputs.text)} must hold the classes 0 to {num_classes - 1}, found {len(table)} classes; run "
            "`python -m jobs.extract_text` again"
        )
    tokens, mask = read_array(table, "tokens"), read_array(table, "mask")
    return torch.from_numpy(tokens * mask[..., None].astype(np.float16))
