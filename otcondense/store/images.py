"""Small labelled images as bytes in Parquet: the input of training, and the samples."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from otcondense.errors import InputError
from otcondense.store import Store, array_column, array_field, read_array, read_table, write_table

HALF_RANGE = 127.5
"""Half of the largest byte: bytes 0..255 become -1..1."""


def write_images(
    store: Store,
    name: str,
    images: UInt8[np.ndarray, "n c h w"],
    labels: Int[np.ndarray, " n"],
    *,
    indices: Int[np.ndarray, " n"] | None = None,
    prompts: Sequence[str] | None = None,
    fingerprint: str,
) -> None:
    """Write images, whole or not at all.

    Args:
        store: the run.
        name: of the file.
        images: bytes of the pixels.
        labels: class index of each image.
        indices: index of each image; 0, 1, … by default.
        prompts: text that each image was sampled from, if there is one.
        fingerprint: of the file.
    """
    assert len(images) == len(labels)
    index = np.arange(len(images)) if indices is None else indices
    fields = [
        pa.field("index", pa.int64()),
        pa.field("class_index", pa.int32()),
        array_field("image", images),
    ]
    columns = [pa.array(index, pa.int64()), pa.array(labels, pa.int32()), array_column(images)]
    if prompts is not None:
        fields.append(pa.field("prompt", pa.string()))
        columns.append(pa.array(prompts, pa.string()))
    table = pa.Table.from_arrays(columns, schema=pa.schema(fields))
    write_table(store, name, table, fingerprint=fingerprint)


def read_images(
    store: Store, name: str
) -> tuple[UInt8[np.ndarray, "n c h w"], Int[np.ndarray, " n"]]:
    """Return the images stored under `name` and the class index of each.

    Raises: InputError if the file is missing, damaged or has other columns.
    """
    if not store.exists(name):
        raise InputError(f"there is no image file {store.path(name)}")
    table = read_table(store, name)
    missing = {"class_index", "image"} - set(table.column_names)
    if missing:
        raise InputError(
            f"{store.path(name)} must have the columns class_index and image, "
            f"found {', '.join(table.column_names)}"
        )
    return read_array(table, "image"), table.column("class_index").to_numpy().astype(np.int64)


def to_unit_range(images: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
    """Map bytes 0..255 to [-1, 1]."""
    return images.float() / HALF_RANGE - 1


def to_bytes(x: Float[Tensor, "b c h w"]) -> UInt8[Tensor, "b c h w"]:
    """Map [-1, 1] to bytes 0..255: values outside are clamped, the others rounded."""
    return ((x.float() + 1) * HALF_RANGE).round().clamp(0, 255).byte()
