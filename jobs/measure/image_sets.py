"""Images to measure, one part at a time: from an .npz of ADM's form, a folder, or Parquet."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.datasets import UnreadableImageError, decode_image
from otcondense.datasets.files import SourceFile
from otcondense.datasets.image_folder import IMAGE_SUFFIXES
from otcondense.datasets.parquet_files import open_parquet
from otcondense.errors import InputError
from otcondense.evaluation import npz_images
from otcondense.store import Store, stored_metadata
from otcondense.store.images import read_images

PART = 512
"""Images that are in memory at a time."""
MAX_PIXELS = 2**26
"""Largest image that is decoded, against decompression bombs."""


def iterate_images(path: str) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield all images below `path` in the order of their names, as RGB of one size.

    Our own files of grey images give grey images.

    Args:
        path: an .npz with arr_0 of [n, h, w, c] bytes; a .parquet file, or a folder of them, as
            `jobs.sample` and `jobs.export_samples` write; or a folder of images, nested or not.

    Raises: InputError if there are none, one cannot be decoded, or two differ in size.
    """
    place = Path(path)
    if place.suffix == ".npz":
        yield from _of_one_size(path, npz_images(path))
    elif place.is_file() and place.suffix == ".parquet":
        yield from _of_one_size(path, _parquet([place]))
    elif place.is_dir():
        tables = sorted(place.glob("*.parquet"))
        yield from _of_one_size(path, _parquet(tables) if tables else _folder(place))
    else:
        raise InputError(f"images must be an .npz file, a .parquet file or a folder, found {path}")


def _parquet(files: list[Path]) -> Iterator[UInt8[Tensor, "b c h w"]]:
    for file in files:
        if stored_metadata(Store(str(file.parent)), file.name) is None:
            yield from _exported(file)
        else:
            yield torch.from_numpy(read_images(Store(str(file.parent)), file.name)[0])


def _exported(file: Path) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield the images of a file in the form of `datasets`.

    Each row is a struct of encoded bytes and path.
    """
    with open_parquet(SourceFile(file.name, str(file), 0, 0)) as (table, schema):
        kind = schema.field("image").type if "image" in schema.names else pa.null()
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise InputError(
                f"{file} must hold our samples, or a column image with the bytes of image files, "
                f"found {kind}"
            )
        for batch in table.iter_batches(batch_size=PART, columns=["image.bytes"]):
            name = str(file)
            cells = batch.column(0).field("bytes").to_pylist()
            yield _stack([(f"row of {file}", _decoded(cell or b"", name)) for cell in cells])


def _folder(root: Path) -> Iterator[UInt8[Tensor, "b c h w"]]:
    candidates = (file for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    files = sorted(filter(Path.is_file, candidates))
    if not files:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{root} must hold images ({suffixes}) or .parquet files, found neither")
    for start in range(0, len(files), PART):
        yield _stack([(str(file), _pixels(file)) for file in files[start : start + PART]])


def _stack(rows: list[tuple[str, UInt8[np.ndarray, "c h w"]]]) -> UInt8[Tensor, "b c h w"]:
    """Return named images as one array."""
    first = rows[0][1]
    for name, row in rows:
        if row.shape != first.shape:
            raise InputError(
                f"{name} is {_size(row)}, the images before it {_size(first)}; "
                "resize all to one size"
            )
    return torch.from_numpy(np.stack([row for _, row in rows]))


def _pixels(file: Path) -> UInt8[np.ndarray, "c h w"]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"image {file} cannot be read ({error}); repair or remove it") from error
    return _decoded(data, str(file))


def _decoded(data: bytes, name: str) -> UInt8[np.ndarray, "c h w"]:
    try:
        image = decode_image(data, channels=3, max_pixels=MAX_PIXELS)
    except UnreadableImageError as error:
        raise InputError(
            f"image {name} cannot be decoded ({error}); repair or remove it"
        ) from error
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def _of_one_size(
    path: str, parts: Iterator[UInt8[Tensor, "_ c h w"]]
) -> Iterator[UInt8[Tensor, "_ c h w"]]:
    first = None
    for part in parts:
        first = part.shape[1:] if first is None else first
        if part.shape[1:] != first:
            raise InputError(
                f"images of {path} must have one size, "
                f"found {_size(part[0])} after {'x'.join(map(str, first))}"
            )
        yield part
    if first is None:
        raise InputError(f"{path} must hold at least one image, found none")


def _size(image: Tensor | np.ndarray) -> str:
    return "x".join(str(each) for each in image.shape)
