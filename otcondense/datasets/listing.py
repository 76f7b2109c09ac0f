"""The images of a source as columns: no Python object is kept for each of millions of images.

A `Listing` is sorted by class and `image_id`. Records are made when they are asked for, and their
locations then too.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, overload
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from otcondense.datasets.records import ImageRecord

PART = 4096
"""Records that are made together while a listing is walked through."""
ROW_BITS = 32
"""Low bits of a position in Parquet that hold the row; the high bits hold its row group."""
HASHES = "sha256"
"""Column of the expected hashes of the files of chosen images."""
NO_FILE = -1
"""Number of the container of an image that is a file of its own."""
COLUMNS = pa.schema(
    [
        ("image_id", pa.large_string()),
        ("class_index", pa.int32()),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("file", pa.int32()),
        ("position", pa.int64()),
        ("path", pa.large_string()),
    ]
)
"""Columns of a listing.

`file` is the number of the container in `Listing.files`, or -1. `position` is the place in it: the
offset in bytes, the row, or row group and row (see `cell_position`). `path` is the location of an
image that is a file of its own, null if that is the `image_id` below the root.
"""


def identity_of(table: pa.Table) -> str:
    """Return the SHA-256 of the ids, classes, sizes and times of images.

    It changes when an image is added, removed, relabelled or changed.
    """
    digest = hashlib.sha256()
    for name in ("class_index", "size_bytes", "mtime_ns"):
        digest.update(table.column(name).to_numpy().astype("<i8").tobytes())
    ids = table.column("image_id").cast(pa.large_binary())
    lengths = pc.binary_length(ids)
    digest.update(lengths.to_numpy().astype("<i8").tobytes())
    for chunk in ids.chunks:
        if len(chunk):
            bounds = np.frombuffer(chunk.buffers()[1], np.int64)[chunk.offset :][: len(chunk) + 1]
            digest.update(chunk.buffers()[2][bounds[0] : bounds[-1]])
    return digest.hexdigest()


def cell_position(row_group: int, row: int) -> int:
    """Return the position of a row of a Parquet file."""
    return row_group << ROW_BITS | row


@dataclass(frozen=True)
class ListedFile:
    """A file that holds images."""

    path: str
    """Absolute path or URI."""
    kind: Literal["bytes", "cell", "features"]
    """First part of the location of an image in it."""
    column: str = ""
    """Of a Parquet file, the leaf column of the images."""

    def location(self, position: int, size_bytes: int) -> str:
        """Return the location of the image at a position, for `read_image_bytes`."""
        if self.kind == "bytes":
            return f"bytes:{position}+{size_bytes}@{self.path}"
        if self.kind == "features":
            return f"features:{position}@{self.path}"
        row_group, row = position >> ROW_BITS, position & (1 << ROW_BITS) - 1
        return f"cell:{row_group}/{row}/{quote(self.column, safe='.')}@{self.path}"


@dataclass(frozen=True)
class Unusable:
    """Something in the place of an image that cannot be one, such as a link that leads nowhere."""

    image_id: str
    class_name: str
    reason: str


@dataclass(frozen=True, eq=False)
class Listing:
    """The images of a source."""

    classes: tuple[str, ...]
    """All class names of the source by index, also those that are not used."""
    table: pa.Table
    """The images of the used classes with the columns `COLUMNS`, sorted by class and `image_id`."""
    root: str = ""
    """Folder or URI below which images without a `path` lie."""
    files: tuple[ListedFile, ...] = ()
    """Files that hold images, in the order of their names."""
    ignored: Sequence[str] = ()
    """Files without an image suffix, outside class folders or hidden, relative to the root."""
    unusable: Sequence[Unusable] = ()
    """What cannot be an image; the extraction lists it with the unreadable images."""
    captions: pa.LargeStringArray | None = None
    """The caption of each image, in the order of the rows; None if the source has no captions, and
    in a stored listing, whose captions lie in a file of their own."""

    def __len__(self) -> int:
        return len(self.table)

    @cached_property
    def class_index(self) -> Int64[np.ndarray, " n"]:
        """Class of each image."""
        return self.numbers("class_index")

    def numbers(self, name: str) -> Int64[np.ndarray, " n"]:
        """Return a column of numbers."""
        values: np.ndarray = self.table.column(name).to_numpy()
        return values.astype(np.int64, copy=False)

    @cached_property
    def _bounds(self) -> Mapping[str, range]:
        """Rows of each class that has images, by name."""
        indices, starts = np.unique(self.class_index, return_index=True)
        ends = [*starts[1:], len(self)]
        rows = zip(indices, starts, ends, strict=True)
        return {self.classes[index]: range(start, end) for index, start, end in rows}

    @property
    def names(self) -> list[str]:
        """Names of the classes that have images, in the order of their indices."""
        return list(self._bounds)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of images of each class that has some."""
        return {name: len(rows) for name, rows in self._bounds.items()}

    @property
    def records(self) -> "Records":
        """All images."""
        return Records(self, range(len(self)))

    def of_class(self, name: str) -> "Records":
        """Return the images of one class."""
        return Records(self, self._bounds[name])

    def ids_of(self, name: str) -> list[str]:
        """Return the ids of the images of one class, sorted."""
        rows = self._bounds[name]
        ids: list[str] = self.table.column("image_id").slice(rows.start, len(rows)).to_pylist()
        return ids

    def index_of(self, name: str) -> int:
        """Return the index of a class that has images."""
        return int(self.class_index[self._bounds[name].start])

    def rows_of(self, name: str) -> range:
        """Return the rows of one class."""
        return self._bounds[name]

    @cached_property
    def storage_order(self) -> Int64[np.ndarray, " n"]:
        """Rows in the order in which the images are stored: by file and position.

        Images that are files of their own come first, in the order of the listing.
        """
        files = self.numbers("file")
        positions = np.where(files == NO_FILE, np.arange(len(self)), self.numbers("position"))
        return np.lexsort((positions, files))

    def take(self, rows: Iterable[int] | np.ndarray) -> list[ImageRecord]:
        """Return the records of some rows, in the order given."""
        wanted = np.fromiter(rows, np.int64)
        return list(self._records(self.table.take(pa.array(wanted))))

    def find(self, image_ids: Iterable[str]) -> dict[str, int]:
        """Return the row of each image of these that is listed."""
        wanted = pa.array(dict.fromkeys(image_ids), pa.large_string())
        # Arrow makes a hash table of the few ids, not of the millions that are listed.
        places = pc.index_in(self.table.column("image_id"), value_set=wanted)
        rows = pc.indices_nonzero(places.is_valid())
        names = wanted.take(pc.drop_null(places).combine_chunks()).to_pylist()
        return dict(zip(names, rows.to_pylist(), strict=True))

    def subset(self, image_ids: pa.Array, hashes: pa.Array) -> "Listing":
        """Return the listing of some images, each with the expected SHA-256 of its file.

        Args:
            image_ids: of the images, in any order.
            hashes: of their files.

        Raises: KeyError with an id that is not listed.
        """
        known = self.table.column("image_id").combine_chunks()
        rows = pc.index_in(image_ids.cast(known.type), value_set=known)
        if rows.null_count:
            missing = image_ids.filter(rows.is_null())
            raise KeyError(missing[0].as_py())
        order = pc.sort_indices(rows)
        table = self.table.take(rows.take(order)).append_column(HASHES, hashes.take(order))
        return replace(self, table=table, ignored=[], unusable=[], captions=None)

    def hashes(self, rows: Sequence[int] | np.ndarray) -> list[str] | None:
        """Return the expected SHA-256 of the files of some rows; None if they are unknown."""
        if HASHES not in self.table.column_names:
            return None
        found: list[str] = self.table.column(HASHES).take(pa.array(rows, pa.int64())).to_pylist()
        return found

    def _records(self, part: pa.Table) -> Iterator[ImageRecord]:
        columns = [part.column(name).to_pylist() for name in COLUMNS.names]
        for image_id, index, size, changed, file, position, path in zip(*columns, strict=True):
            location = self._location(image_id, size, file, position, path)
            yield ImageRecord(image_id, self.classes[index], index, location, size, changed)

    def _location(
        self, image_id: str, size: int, file: int, position: int, path: str | None
    ) -> str:
        if file != NO_FILE:
            return self.files[file].location(position, size)
        return path if path is not None else f"{self.root}/{image_id}"

    def iterate(self, rows: range) -> Iterator[ImageRecord]:
        """Yield the records of consecutive rows, some in memory at a time."""
        for start in range(rows.start, rows.stop, PART):
            part = self.table.slice(start, min(PART, rows.stop - start))
            yield from self._records(part)


@dataclass(frozen=True, eq=False)
class Records(Sequence[ImageRecord]):
    """Consecutive rows of a listing, whose records are made when they are asked for."""

    listing: Listing
    rows: range

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[ImageRecord]:
        return self.listing.iterate(self.rows)

    @overload
    def __getitem__(self, key: int) -> ImageRecord: ...

    @overload
    def __getitem__(self, key: slice) -> list[ImageRecord]: ...

    def __getitem__(self, key: int | slice) -> ImageRecord | list[ImageRecord]:
        if isinstance(key, slice):
            return self.listing.take(self.rows[key])
        return self.listing.take([self.rows[key]])[0]
