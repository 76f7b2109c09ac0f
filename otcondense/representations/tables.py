"""Latents and tokens of the images of a run, one file per class; text embeddings in one file."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from otcondense.errors import InputError
from otcondense.reading import parse_json, read_text
from otcondense.representations.latents import LatentConfig, LatentModel
from otcondense.representations.representation_config import (
    REPRESENTATIONS_SCHEMA_VERSION,
    RepresentationConfig,
)
from otcondense.representations.text import TextConfig, TextModel
from otcondense.representations.tokens import TokenConfig, TokenModel
from otcondense.store import (
    Store,
    array_column,
    array_field,
    class_file,
    fingerprint,
    read_fingerprint,
    write_table,
)

KINDS: dict[str, tuple[type[RepresentationConfig], Any]] = {
    "latents": (LatentConfig, LatentModel),
    "tokens": (TokenConfig, TokenModel),
}
"""The kinds that are made from images: configuration and model of each, by name of its
directory."""


@dataclass(frozen=True)
class ClassTable:
    """The arrays of the images of one class."""

    class_name: str
    class_index: int
    image_ids: Sequence[str]
    """Sorted."""
    sha256: Sequence[str]
    """Of the file of each image."""
    arrays: dict[str, np.ndarray]
    """Arrays [n, orientations, ...]: of the image and, with `mirror`, of its mirror image."""


def class_fingerprint(
    config: RepresentationConfig,
    sha256: str,
    class_name: str,
    images: Sequence[tuple[str, str]],
) -> str:
    """Return the fingerprint of one class: of the images, the weights and the settings.

    Args:
        config: settings of the model.
        sha256: of its weights.
        class_name: the class.
        images: id and SHA-256 of each image, sorted.
    """
    contents = [list(image) for image in images]
    return fingerprint(
        [REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, class_name, contents]
    )


def write_class_table(
    store: Store,
    directory: str,
    rows: ClassTable,
    facts: dict[str, Any],
    mark: str,
) -> None:
    """Write the file of one class: a row for each orientation of each image.

    Args:
        store: the run.
        directory: of the result.
        rows: the arrays.
        facts: what a reader of the arrays needs to know.
        mark: fingerprint of the file.
    """
    (orientations,) = {each.shape[1] for each in rows.arrays.values()}
    count = len(rows.image_ids) * orientations
    columns: dict[pa.Field, list[Any]] = {
        pa.field("image_id", pa.string()): np.repeat(rows.image_ids, orientations).tolist(),
        pa.field("flipped", pa.bool_()): [place % orientations == 1 for place in range(count)],
        pa.field("sha256", pa.string()): np.repeat(rows.sha256, orientations).tolist(),
    }
    arrays = {name: each.reshape(count, *each.shape[2:]) for name, each in rows.arrays.items()}
    write_table(
        store,
        class_file(directory, rows.class_name),
        _table(columns, arrays),
        fingerprint=mark,
        schema_version=REPRESENTATIONS_SCHEMA_VERSION,
        class_name=rows.class_name,
        class_index=rows.class_index,
        **facts,
    )


def _table(columns: dict[pa.Field, list[Any]], arrays: dict[str, np.ndarray]) -> pa.Table:
    """Return a table of plain columns, followed by one column for each array."""
    fields = list(columns)
    values = [pa.array(column, field.type) for field, column in columns.items()]
    for name, array in arrays.items():
        fields.append(array_field(name, array))
        values.append(array_column(array))
    return pa.Table.from_arrays(values, schema=pa.schema(fields))


def has_text(
    store: Store, name: str, classes: dict[int, str], config: TextConfig, model: TextModel
) -> bool:
    """Tell whether the text embeddings are there, made from the same text by the same model."""
    return read_fingerprint(store, name) == text_fingerprint(config, model.sha256, classes)


def write_text(
    store: Store, name: str, classes: dict[int, str], config: TextConfig, model: TextModel
) -> bool:
    """Write the text embeddings of all classes.

    Args:
        store: the run.
        name: file of the result.
        classes: class names by class index.
        config: the settings of the model.
        model: embeds the text.

    Returns: False if the file is already there, made from the same text by the same model.

    Raises: InputError if `names` has no name for a class.
    """
    if has_text(store, name, classes, config, model):
        return False
    mark = text_fingerprint(config, model.sha256, classes)
    prompts = _prompts(classes, config)
    embedded = [model(prompt) for _, _, prompt in prompts]
    arrays = {
        "tokens": np.stack([tokens for tokens, _ in embedded]),
        "mask": np.stack([mask for _, mask in embedded]),
    }
    if not np.isfinite(arrays["tokens"]).all():
        raise InputError(
            "text embeddings must be finite in float16, "
            f"found NaN or infinite values from {config.model}"
        )
    columns: dict[pa.Field, list[Any]] = {
        pa.field("class_index", pa.int32()): [index for index, _, _ in prompts],
        pa.field("class_name", pa.string()): [class_name for _, class_name, _ in prompts],
        pa.field("prompt", pa.string()): [prompt for _, _, prompt in prompts],
    }
    write_table(
        store,
        name,
        _table(columns, arrays),
        fingerprint=mark,
        schema_version=REPRESENTATIONS_SCHEMA_VERSION,
        weights_sha256=model.sha256,
    )
    return True


def text_fingerprint(config: TextConfig, sha256: str, classes: dict[int, str]) -> str:
    """Return the fingerprint of the text embeddings: of the prompts, the weights and the settings.

    Raises: InputError if `names` has no name for a class.
    """
    return fingerprint(
        [REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, _prompts(classes, config)]
    )


def _prompts(classes: dict[int, str], config: TextConfig) -> list[tuple[int, str, str]]:
    """Return index, name and prompt of each class in the order of the indices."""
    readable = _readable(classes, config)
    prompts = []
    for index in sorted(classes):
        prompt = config.prompt.replace("{name}", readable[index])
        prompts.append((index, classes[index], prompt))
    return prompts


def _readable(classes: dict[int, str], config: TextConfig) -> dict[int, str]:
    """Return the readable name of each class by its index."""
    if config.names is None:
        return classes
    what = "text.names must be a JSON file of names by class name"
    names = parse_json(read_text(config.names, what), f"{what}, and {config.names}")
    if not isinstance(names, dict):
        raise InputError(f"{what}, found {type(names).__name__} in {config.names}")
    missing = [name for name in classes.values() if name not in names]
    if missing:
        raise InputError(
            f"text.names must name every class, missing in {config.names}: {missing[0]} "
            f"and {len(missing) - 1} more"
        )
    return {index: str(names[name]) for index, name in classes.items()}
