"""Latents and tokens of the images of a run, one file per class, and text embeddings, one file per run."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from otcondense.datasets import SourceConfig, UnreadableImageError, decode_image
from otcondense.datasets.images import WantedImage, read_wanted
from otcondense.errors import InputError
from otcondense.representations import (
    REPRESENTATIONS_SCHEMA_VERSION,
    ImageModel,
    LatentConfig,
    LatentModel,
    RepresentationConfig,
    TextConfig,
    TextModel,
    TokenConfig,
    TokenModel,
    adm_center_crop,
)
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
KINDS: dict[str, tuple[type[RepresentationConfig], Any]] = {
    "latents": (LatentConfig, LatentModel),
    "tokens": (TokenConfig, TokenModel),
}
"""What can be made from images: the configuration and the model of each, by the name of its directory."""


def class_fingerprint(
    config: RepresentationConfig, sha256: str, class_name: str, images: list[WantedImage]
) -> str:
    """Return the fingerprint of one class: of the images themselves, the weights and the settings."""
    contents = [[image.image_id, image.sha256] for image in images]
    return fingerprint(
        [REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, class_name, contents]
    )


def write_class(
    store: Store,
    directory: str,
    unit: dict[str, Any],
    config: RepresentationConfig,
    model: ImageModel,
) -> bool:
    """Encode the images of one class and write its file; returns False if it is there already, made from the same.

    Args:
        store: the run.
        directory: directory of the result.
        unit: `class_name`, `images` (image_id, class_index, path and sha256 of each) and the `source` as JSON.
        config: which arrays to make.
        model: what makes them.

    Raises: InputError naming an image that is missing, unreadable or not the one that has features.
    """
    images = sorted(
        (WantedImage(**image) for image in unit["images"]), key=lambda image: image.image_id
    )
    name, mark = (
        class_file(directory, unit["class_name"]),
        class_fingerprint(config, model.sha256, unit["class_name"], images),
    )
    if read_fingerprint(store, name) == mark:
        return False
    parts = list(_encoded(images, SourceConfig(**unit["source"]), config, model))
    arrays = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    rows = [
        (image, flipped)
        for image in images
        for flipped in ([False, True] if config.mirror else [False])
    ]
    _refuse_infinite(arrays, rows)
    fields = [
        pa.field("image_id", pa.string()),
        pa.field("flipped", pa.bool_()),
        pa.field("sha256", pa.string()),
    ]
    columns = [
        pa.array([image.image_id for image, _ in rows], pa.string()),
        pa.array([flipped for _, flipped in rows], pa.bool_()),
        pa.array([image.sha256 for image, _ in rows], pa.string()),
    ]
    fields += [array_field(key, values) for key, values in arrays.items()]
    columns += [array_column(values) for values in arrays.values()]
    metadata = {
        "class_name": unit["class_name"],
        "class_index": images[0].class_index,
        "image_size": config.image_size,
        "weights_sha256": model.sha256,
        **model.facts,
    }
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    write_table(
        store,
        name,
        table,
        fingerprint=mark,
        schema_version=REPRESENTATIONS_SCHEMA_VERSION,
        **metadata,
    )
    return True


def _encoded(
    images: list[WantedImage], source: SourceConfig, config: RepresentationConfig, model: ImageModel
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the arrays of each batch; every batch has the same number of rows when the model sees it."""
    batch = torch.zeros(
        config.batch_size, 3, config.image_size, config.image_size, dtype=torch.uint8
    )
    filled = 0
    with ThreadPoolExecutor(READERS) as pool:
        for start in range(
            0, len(images), READERS * config.batch_size
        ):  # so many crops wait in memory at a time
            for crop in pool.map(
                partial(_crop, source=source, size=config.image_size),
                images[start : start + READERS * config.batch_size],
            ):
                for pixels in [crop, crop.flip(2)] if config.mirror else [crop]:
                    batch[filled] = pixels
                    filled += 1
                    if filled == config.batch_size:
                        yield model(batch)
                        filled = 0
    if filled:
        batch[filled:] = 0
        yield {key: values[:filled] for key, values in model(batch).items()}


def _crop(image: WantedImage, source: SourceConfig, size: int) -> torch.Tensor:
    try:
        return adm_center_crop(
            decode_image(read_wanted(image), channels=3, max_pixels=source.max_pixels), size
        )
    except UnreadableImageError as error:
        raise InputError(
            f"image {image.path} cannot be decoded ({error}); extract the features again to leave it out"
        ) from error


def _refuse_infinite(arrays: dict[str, np.ndarray], rows: list[tuple[WantedImage, bool]]) -> None:
    for name, values in arrays.items():
        bad = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
        if len(bad):
            raise InputError(
                f"{name} must be finite in float16, found NaN or infinite values for {rows[bad[0]][0].image_id}"
            )


def write_text(
    store: Store, name: str, classes: dict[int, str], config: TextConfig, model: TextModel
) -> bool:
    """Write the text embeddings of all classes, by class index; returns False if they are there already, made from the same.

    Raises: InputError if `names` has no name for a class.
    """
    contents = _prompts(classes, config)
    mark = text_fingerprint(config, model.sha256, classes)
    if read_fingerprint(store, name) == mark:
        return False
    embedded = [model(prompt) for _, _, prompt in contents]
    arrays = {
        key: np.stack([each[place] for each in embedded])
        for place, key in enumerate(("tokens", "mask"))
    }
    if not np.isfinite(arrays["tokens"]).all():
        raise InputError(
            f"text embeddings must be finite in float16, found NaN or infinite values from {config.model}"
        )
    fields = [
        pa.field("class_index", pa.int32()),
        pa.field("class_name", pa.string()),
        pa.field("prompt", pa.string()),
    ]
    columns = [
        pa.array(values, field.type)
        for field, values in zip(fields, zip(*contents, strict=True), strict=True)
    ]
    fields += [array_field(key, values) for key, values in arrays.items()]
    columns += [array_column(values) for values in arrays.values()]
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    write_table(
        store,
        name,
        table,
        fingerprint=mark,
        schema_version=REPRESENTATIONS_SCHEMA_VERSION,
        weights_sha256=model.sha256,
    )
    return True


def text_fingerprint(config: TextConfig, sha256: str, classes: dict[int, str]) -> str:
    """Return the fingerprint of the text embeddings: of what the model reads for each class, its weights and the settings.

    Raises: InputError if `names` has no name for a class.
    """
    return fingerprint(
        [REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, _prompts(classes, config)]
    )


def _prompts(classes: dict[int, str], config: TextConfig) -> list[tuple[int, str, str]]:
    """Return index, name and prompt of each class in the order of the indices."""
    readable = _readable(classes, config)
    return [
        (index, classes[index], config.prompt.replace("{name}", readable[index]))
        for index in sorted(classes)
    ]


def _readable(classes: dict[int, str], config: TextConfig) -> dict[int, str]:
    if config.names is None:
        return classes
    try:
        names = json.loads(Path(config.names).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"text.names must be a JSON file of names by class name, found {config.names} ({error})"
        ) from error
    missing = [name for name in classes.values() if name not in names]
    if missing:
        raise InputError(
            f"text.names must name every class, missing in {config.names}: {missing[0]} and {len(missing) - 1} more"
        )
    return {index: str(names[name]) for index, name in classes.items()}
