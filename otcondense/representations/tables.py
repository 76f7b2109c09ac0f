"""Latents and tokens of the images of a run, one file per class; text embeddings in one file."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import torch

from otcondense.datasets import SourceConfig, UnreadableImageError, decode_image
from otcondense.datasets.images import WantedImage, read_wanted
from otcondense.errors import InputError
from otcondense.reading import parse_json, read_text
from otcondense.representations.crop import adm_center_crop
from otcondense.representations.image_model import ImageModel
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

READERS = 4
"""Threads that read and crop images while the model computes."""
KINDS: dict[str, tuple[type[RepresentationConfig], Any]] = {
    "latents": (LatentConfig, LatentModel),
    "tokens": (TokenConfig, TokenModel),
}
"""The kinds that are made from images: configuration and model of each, by name of its
directory."""


@runtime_checkable
class ClassImages(Protocol):
    """The images of one class."""

    @property
    def class_name(self) -> str:
        """Name of the class."""

    @property
    def images(self) -> Sequence[WantedImage]:
        """Its images, in any order."""

    @property
    def source(self) -> SourceConfig:
        """The source of the images."""


@dataclass(frozen=True)
class _Row:
    """One row of the table of a class."""

    image: WantedImage
    flipped: bool


def class_fingerprint(
    config: RepresentationConfig, sha256: str, class_name: str, images: list[WantedImage]
) -> str:
    """Return the fingerprint of one class: of the images, the weights and the settings."""
    contents = [[image.image_id, image.sha256] for image in images]
    return fingerprint(
        [REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, class_name, contents]
    )


def write_class(
    store: Store,
    directory: str,
    wanted: ClassImages,
    config: RepresentationConfig,
    model: ImageModel,
) -> bool:
    """Encode the images of one class and write its file.

    Args:
        store: the run.
        directory: directory of the result.
        wanted: the images of the class.
        config: the settings of the model.
        model: turns images into arrays.

    Returns: False if the file is already there, made from the same images by the same model.

    Raises: InputError naming an image that is missing, unreadable, or has changed since its
        features were extracted.
    """
    images = sorted(wanted.images, key=lambda image: image.image_id)
    name = class_file(directory, wanted.class_name)
    mark = class_fingerprint(config, model.sha256, wanted.class_name, images)
    if read_fingerprint(store, name) == mark:
        return False

    parts = list(_encoded(images, wanted.source, config, model))
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    rows = _rows(images, mirror=config.mirror)
    _refuse_infinite(arrays, rows)
    metadata = {
        "class_name": wanted.class_name,
        "class_index": images[0].class_index,
        "image_size": config.image_size,
        "weights_sha256": model.sha256,
        **model.facts,
    }
    write_table(
        store,
        name,
        _class_table(rows, arrays),
        fingerprint=mark,
        schema_version=REPRESENTATIONS_SCHEMA_VERSION,
        **metadata,
    )
    return True


def _rows(images: list[WantedImage], *, mirror: bool) -> list[_Row]:
    rows = []
    for image in images:
        rows.append(_Row(image, flipped=False))
        if mirror:
            rows.append(_Row(image, flipped=True))
    return rows


def _class_table(rows: list[_Row], arrays: dict[str, np.ndarray]) -> pa.Table:
    columns: dict[pa.Field, list[Any]] = {
        pa.field("image_id", pa.string()): [row.image.image_id for row in rows],
        pa.field("flipped", pa.bool_()): [row.flipped for row in rows],
        pa.field("sha256", pa.string()): [row.image.sha256 for row in rows],
    }
    return _table(columns, arrays)


def _table(columns: dict[pa.Field, list[Any]], arrays: dict[str, np.ndarray]) -> pa.Table:
    """Return a table of plain columns, followed by one column for each array."""
    fields = list(columns)
    values = [pa.array(column, field.type) for field, column in columns.items()]
    for name, array in arrays.items():
        fields.append(array_field(name, array))
        values.append(array_column(array))
    return pa.Table.from_arrays(values, schema=pa.schema(fields))


def _encoded(
    images: list[WantedImage], source: SourceConfig, config: RepresentationConfig, model: ImageModel
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the arrays of each batch; the model always gets batches of the same size."""
    size = config.image_size
    batch = torch.zeros(config.batch_size, 3, size, size, dtype=torch.uint8)
    filled = 0
    for pixels in _crops(images, source, config):
        batch[filled] = pixels
        filled += 1
        if filled == config.batch_size:
            yield model(batch)
            filled = 0
    if filled:
        batch[filled:] = 0
        yield {key: values[:filled] for key, values in model(batch).items()}


def _crops(
    images: list[WantedImage], source: SourceConfig, config: RepresentationConfig
) -> Iterator[torch.Tensor]:
    """Yield the crop of each image, followed by its mirror image if that is configured."""
    read = partial(_crop, source=source, size=config.image_size)
    ahead = READERS * config.batch_size  # at most so many crops wait in memory
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(0, len(images), ahead):
            for crop in pool.map(read, images[start : start + ahead]):
                yield crop
                if config.mirror:
                    yield crop.flip(2)


def _crop(image: WantedImage, source: SourceConfig, size: int) -> torch.Tensor:
    try:
        decoded = decode_image(read_wanted(image), channels=3, max_pixels=source.max_pixels)
        return adm_center_crop(decoded, size)
    except UnreadableImageError as error:
        raise InputError(
            f"image {image.path} cannot be decoded ({error}); "
            "extract the features again to leave it out"
        ) from error


def _refuse_infinite(arrays: dict[str, np.ndarray], rows: list[_Row]) -> None:
    for name, values in arrays.items():
        finite = np.isfinite(values.reshape(len(values), -1)).all(axis=1)
        bad = np.flatnonzero(~finite)
        if len(bad):
            raise InputError(
                f"{name} must be finite in float16, found NaN or infinite values for "
                f"{rows[bad[0]].image.image_id}"
            )


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
    mark = text_fingerprint(config, model.sha256, classes)
    if read_fingerprint(store, name) == mark:
        return False

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
