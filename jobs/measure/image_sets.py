"""Images to measure, wherever they come from: an .npz of ADM's form, a folder, or Parquet; a part at a time."""

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


def iterate_images(path: str) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield all images below `path` as RGB of one size, or as grey where a file of ours holds grey ones, in the order of their names.

    Args:
        path: an .npz with arr_0 of [n, h, w, c] bytes; a .parquet file, or a folder of them, as `jobs.sample` and
            `jobs.export_samples` write; or a folder, nested or not, of images.

    Raises: InputError if nothing is there, an image cannot be decoded, or two differ in size.
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
    """Yield the images of a file that `datasets` reads: a struct of encoded bytes and path in each row."""
    with open_parquet(SourceFile(file.name, str(file), 0, 0)) as (table, schema):
        kind = schema.field("image").type if "image" in schema.names else pa.null()
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise InputError(
                f"{file} must be samples of ours, or have a column image with the bytes of image files, found {kind}"
            )
        for batch in table.iter_batches(batch_size=PART, columns=["image.bytes"]):
            cells = batch.column(0).field("bytes")
            yield _stack(
                [(f"row of {file}", _decoded(cell.as_py() or b"", str(file))) for cell in cells]
            )


def _folder(root: Path) -> Iterator[UInt8[Tensor, "b c h w"]]:
    files = sorted(
        each for each in root.rglob("*") if each.suffix.lower() in IMAGE_SUFFIXES and each.is_file()
    )
    if not files:
        raise InputError(
            f"{root} must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}) or .parquet files, found neither"
        )
    for start in range(0, len(files), PART):
        yield _stack([(str(file), _pixels(file)) for file in files[start : start + PART]])


def _stack(rows: list[tuple[str, UInt8[np.ndarray, "c h w"]]]) -> UInt8[Tensor, "b c h w"]:
    """Return named images as one array."""
    first = rows[0][1]
    for name, row in rows:
        if row.shape != first.shape:
            raise InputError(
                f"{name} is {_size(row)}, the images before it {_size(first)}; bring all to one size"
            )
    return torch.from_numpy(np.stack([row for _, row in rows]))


def _pixels(file: Path) -> UInt8[np.ndarray, "c h w"]:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"image {file} cannot be read ({error}); mend it or leave it out"
        ) from error
    return _decoded(data, str(file))


def _decoded(data: bytes, name: str) -> UInt8[np.ndarray, "c h w"]:
    try:
        image = decode_image(data, channels=3, max_pixels=MAX_PIXELS)
    except UnreadableImageError as error:
        raise InputError(
            f"image {name} cannot be decoded ({error}); mend it or leave it out"
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
                f"images of {path} must have one size, found {_size(part[0])} after {'x'.join(map(str, first))}"
            )
        yield part
    if first is None:
        raise InputError(f"{path} holds no image")


def _size(image: Tensor | np.ndarray) -> str:
    return "x".join(str(each) for each in image.shape)
