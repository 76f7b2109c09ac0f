"""Images to measure, one part at a time: from an .npz of ADM's form, a folder, or Parquet."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.datasets import UnreadableImageError, decode_image
from otcondense.datasets.access import IMAGE_BYTES
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.suffixes import IMAGE_SUFFIXES
from otcondense.errors import InputError
from otcondense.evaluation import npz_images
from otcondense.reading import RefusedFileError, open_regular, read_regular
from otcondense.store import Store, stored_metadata
from otcondense.store.images import read_images

PART = 512
"""Images that are in memory at a time."""
PART_BYTES = 2**27
"""Bytes of decoded images that are in memory at a time; large images come in smaller parts."""
MAX_PIXELS = 2**26
"""Largest image that is decoded, against decompression bombs."""
BATCH = 16
"""Rows of a Parquet file of image files that are read together."""
FILES = (".npz", ".parquet")
COLUMN = "image.bytes"
"""Column of the bytes of image files, as `datasets` writes it."""
Row = tuple[str, UInt8[np.ndarray, "c h w"]]
"""An image with its name for messages."""


def iterate_images(path: str) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield all images below `path` in the order of their names, as RGB of one size.

    Our own files of grey images give grey images.

    Args:
        path: an .npz with arr_0 of [n, h, w, c] bytes; a .parquet file, or a folder of them, as
            `otcondense sample` and `otcondense export_samples` write; or a folder of images,
            nested or not.

    Raises: InputError if there are none, one cannot be decoded, or two differ in size.
    """
    check_place(path)
    place = Path(path)
    if place.is_dir():
        tables = sorted(place.glob("*.parquet"))
        yield from _of_one_size(path, _parquet(tables) if tables else _folder(place))
    elif place.suffix == ".npz":
        yield from _of_one_size(path, npz_images(path))
    else:
        yield from _of_one_size(path, _parquet([place]))


def check_place(path: str) -> None:
    """Check that there are images of some form at a path, without reading them.

    Raises: InputError naming the path and what is there.
    """
    place = Path(path)
    forms = "an .npz file, a .parquet file or a folder"
    if place.is_dir():
        return
    try:
        open_regular(place).close()
    except RefusedFileError as error:
        raise InputError(f"images must be {forms}; {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"images must be {forms}, found nothing at {path}") from error
    if place.suffix not in FILES:
        raise InputError(f"images must be {forms}, found {path}")


def _parquet(files: list[Path]) -> Iterator[UInt8[Tensor, "b c h w"]]:
    for file in files:
        if stored_metadata(Store(str(file.parent)), file.name) is None:
            yield from _exported(file)
        else:
            images = torch.from_numpy(read_images(Store(str(file.parent)), file.name)[0])
            yield from torch.split(images, PART)


def _exported(file: Path) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield the images of a file in the form of `datasets`.

    Each row is a struct of encoded bytes and path.
    """
    with open_parquet(str(file)) as opened:
        place = opened.schema.get_field_index("image")
        kind = pa.null() if place < 0 else opened.schema.field(place).type
        if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
            raise InputError(
                f"{file} must hold our samples, or a column image with the bytes of image files, "
                f"found {kind}"
            )
        opened.check(COLUMN)
        yield from _parts(_cells(file, opened))


def _cells(file: Path, opened: ParquetSource) -> Iterator[Row]:
    """Yield the decoded images of a file, which holds equal ones as a dictionary."""
    row = 0
    for group in range(len(opened.groups)):
        # A batch of two row groups would have two dictionaries.
        for batch in opened.file.iter_batches(BATCH, row_groups=[group], columns=[COLUMN]):
            for value in batch.column(0).field("bytes"):
                name = f"{file}, row {row}"
                yield name, _decoded(value.as_py() or b"", name)
                row += 1


def _folder(root: Path) -> Iterator[UInt8[Tensor, "b c h w"]]:
    candidates = (file for file in root.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES)
    files = sorted(file for file in candidates if not file.is_dir())
    if not files:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{root} must hold images ({suffixes}) or .parquet files, found neither")
    yield from _parts((str(file), _pixels(file)) for file in files)


def _parts(rows: Iterable[Row]) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield named images as arrays of a bounded size."""
    part: list[Row] = []
    for name, pixels in rows:
        part.append((name, pixels))
        if len(part) == PART or len(part) * pixels.nbytes >= PART_BYTES:
            yield _stack(part)
            part = []
    if part:
        yield _stack(part)


def _stack(rows: list[Row]) -> UInt8[Tensor, "b c h w"]:
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
        data = read_regular(file, IMAGE_BYTES)
    except OSError as error:
        raise InputError(
            f"image {file} cannot be read ({error}); repair it or leave it out"
        ) from error
    return _decoded(data, str(file))


def _decoded(data: bytes, name: str) -> UInt8[np.ndarray, "c h w"]:
    try:
        image = decode_image(data, channels=3, max_pixels=MAX_PIXELS)
    except UnreadableImageError as error:
        raise InputError(
            f"image {name} cannot be decoded ({error}); repair it or leave it out"
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
