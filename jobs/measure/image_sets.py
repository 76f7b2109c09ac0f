"""Images to measure, one part at a time: from an .npz of ADM's form, a folder, or Parquet."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import UInt8
from torch import Tensor

from jobs.measure.places import check_place, image_tree, tables_in
from otcondense.datasets import UnreadableImageError, center_crop, decode_image
from otcondense.datasets.access import IMAGE_BYTES
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.suffixes import IMAGE_SUFFIXES, UNREAD_SUFFIXES, unread_suffix
from otcondense.errors import InputError
from otcondense.evaluation import npz_images
from otcondense.reading import read_regular
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
COLUMN = "image.bytes"
"""Column of the bytes of image files, as `datasets` writes it."""
Row = tuple[str, UInt8[np.ndarray, "c h w"]]
"""An image with its name for messages."""
MIXED_SIDE = 256
"""Height and width of photos of different sizes, if no size is given and the samples have none."""
MOST_LOST = 0.5
"""Largest share of images that may be unreadable."""
Size = tuple[int, int]
"""Height and width in pixels."""


class MixedSizesError(InputError):
    """The images of a set differ in size, and no size was given to bring them to."""


@dataclass
class Reading:
    """How images are read from files, and what was found on the way."""

    size: Size | None = None
    """Size that images of any size are scaled to cover and cut out of, from their centre; None
    takes images of one size as they are."""
    lost: dict[str, dict[str, str]] = field(default_factory=dict)
    """By path of the set, the images that cannot be read, with their reason."""

    def decoded(self, path: str, rows: Iterable[tuple[str, Callable[[], bytes]]]) -> Iterator[Row]:
        """Yield the images that can be read.

        Args:
            path: of the set.
            rows: name of each image, and a function that returns its file's bytes.

        Raises: InputError if more than `MOST_LOST` of them cannot be read.
        """
        lost = self.lost.setdefault(path, {})
        count = 0
        for name, read in rows:
            count += 1
            try:
                yield name, self._pixels(read())
            except (UnreadableImageError, OSError) as error:
                lost[name] = str(error)
        if len(lost) > MOST_LOST * count:
            name, reason = next(iter(lost.items()))
            raise InputError(
                f"{len(lost)} of {count} images of {path} cannot be read, such as {name} "
                f"({reason}); repair them or leave them out"
            )

    def _pixels(self, data: bytes) -> UInt8[np.ndarray, "c h w"]:
        image = decode_image(data, channels=3, max_pixels=MAX_PIXELS)
        if self.size is not None and (image.height, image.width) != self.size:
            image = center_crop(image, self.size)
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def iterate_images(path: str, reading: Reading | None = None) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield all images below `path` in the order of their names, as RGB of one size.

    Our own files of grey images give grey images. Hidden files are no images, as in sources.

    Args:
        reading: the size of images in files, and what is noted about them.
        path: an .npz with arr_0 of [n, h, w, c] bytes; a .parquet file, or a folder of them, as
            `otcondense sample` and `otcondense export_samples` write; or a folder of images,
            nested or not.

    Raises: InputError if there are none or most cannot be decoded; MixedSizesError if two differ in
        size, and no size is given.
    """
    check_place(path)
    place = Path(path)
    used = reading or Reading()
    if place.is_dir():
        tables = tables_in(place)
        found = _parquet(path, tables, used) if tables else _folder(path, used)
    elif place.suffix == ".npz":
        found = npz_images(path)
    else:
        found = _parquet(path, [place], used)
    yield from _of_one_size(path, found)


def _parquet(path: str, files: list[Path], reading: Reading) -> Iterator[UInt8[Tensor, "b c h w"]]:
    for file in files:
        if stored_metadata(Store(str(file.parent)), file.name) is None:
            yield from _exported(path, file, reading)
        else:
            images = torch.from_numpy(read_images(Store(str(file.parent)), file.name)[0])
            yield from torch.split(images, PART)


def _exported(path: str, file: Path, reading: Reading) -> Iterator[UInt8[Tensor, "b c h w"]]:
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
        yield from _parts(reading.decoded(path, _cells(file, opened)))


def _cells(file: Path, opened: ParquetSource) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield the images of a file, which holds equal ones as a dictionary."""
    row = 0
    for group in range(len(opened.groups)):
        # A batch of two row groups would have two dictionaries.
        for batch in opened.file.iter_batches(BATCH, row_groups=[group], columns=[COLUMN]):
            for value in batch.column(0).field("bytes"):
                data: bytes = value.as_py() or b""
                yield f"{file}, row {row}", partial(bytes, data)
                row += 1


def _folder(path: str, reading: Reading) -> Iterator[UInt8[Tensor, "b c h w"]]:
    tree = image_tree(path)
    is_image = tree.are(IMAGE_SUFFIXES | UNREAD_SUFFIXES)
    files = sorted(Path(path, name) for name in tree.paths(is_image).to_pylist())
    rows = ((str(file), partial(_bytes, file)) for file in files)
    yield from _parts(reading.decoded(path, rows))


def _bytes(file: Path) -> bytes:
    """Return the bytes of an image file.

    Raises: OSError if it cannot be read, UnreadableImageError for a suffix that is not read.
    """
    suffix = file.suffix.lower()
    if suffix in UNREAD_SUFFIXES:
        raise UnreadableImageError(unread_suffix(suffix))
    return read_regular(file, IMAGE_BYTES)


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
            raise MixedSizesError(
                f"{name} is {_size(row)}, the images before it {_size(first)}; set size=SIDE"
            )
    return torch.from_numpy(np.stack([row for _, row in rows]))


def _of_one_size(
    path: str, parts: Iterator[UInt8[Tensor, "_ c h w"]]
) -> Iterator[UInt8[Tensor, "_ c h w"]]:
    first = None
    for part in parts:
        first = part.shape[1:] if first is None else first
        if part.shape[1:] != first:
            raise MixedSizesError(
                f"images of {path} must have one size, "
                f"found {_size(part[0])} after {'x'.join(map(str, first))}; set size=SIDE"
            )
        yield part
    if first is None:
        raise InputError(f"{path} must hold at least one image, found none")


def _size(image: Tensor | np.ndarray) -> str:
    return "x".join(str(each) for each in image.shape)
