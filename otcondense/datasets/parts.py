"""The images of one file as columns, before the classes of the whole source are known."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int32, Int64

from otcondense.datasets.listing import ListedFile

NO_LABEL = -1
"""Code of an image without a label."""
PART = 4096
"""Names that become Python texts together."""
SHOWN = 5
"""Names that the text of a column shows."""
TEXT = pa.large_string()
"""Type of ids and paths: 2 GB of them are too few for 50 million images."""


@dataclass(frozen=True, eq=False)
class Labels:
    """The labels of images: each different value once, and its number for each image."""

    codes: Int32[np.ndarray, " n"]
    """Place of each label in `values`, or `NO_LABEL`."""
    values: list[Any]
    """The different labels as they are stored."""

    def __len__(self) -> int:
        return len(self.codes)

    @classmethod
    def same(cls, value: Any, count: int) -> "Labels":
        """Return one label for all images."""
        return cls(np.zeros(count, np.int32), [value])

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Labels":
        """Return labels from Python values; only for formats that are read one by one."""
        numbers = Numbers()
        codes = np.fromiter((numbers.of(value) for value in values), np.int32)
        return cls(codes, numbers.values)


class Numbers:
    """Numbers of different values, from 0 in the order in which they come."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._known: dict[tuple[type, Any], int] = {}

    def of(self, value: Any) -> int:
        """Return the number of a value; True is another value than 1."""
        if value is None:
            return NO_LABEL
        key = (type(value), value)
        number = self._known.setdefault(key, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


@dataclass(frozen=True)
class Faulty:
    """Images of a file that cannot be used, such as rows without bytes."""

    rows: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def add(self, row: int, reason: str) -> None:
        """Add one image."""
        self.rows.append(row)
        self.reasons.append(reason)


@dataclass(frozen=True, eq=False)
class Part:
    """The images of one file or folder."""

    ids: pa.LargeStringArray
    labels: Labels
    size_bytes: Int64[np.ndarray, " n"]
    mtime_ns: Int64[np.ndarray, " n"]
    file: ListedFile | None = None
    """The file that holds the images; None for images that are files of their own."""
    position: Int64[np.ndarray, " n"] | None = None
    """Place of each image in the file."""
    path: pa.LargeStringArray | None = None
    """Location of each image that is not its id below the root."""
    faulty: Faulty = field(default_factory=Faulty)
    captions: pa.LargeStringArray | None = None
    """Text of each image, null without one; None if the source has no captions."""

    def __post_init__(self) -> None:
        lengths = {len(self), len(self.labels), len(self.size_bytes), len(self.mtime_ns)}
        assert len(lengths) == 1, "columns of a part have one length"

    def __len__(self) -> int:
        return len(self.ids)

    def relabelled(self, values: list[Any]) -> "Part":
        """Return the part with other values of its different labels."""
        return replace(self, labels=Labels(self.labels.codes, values))


def spread(value: int, count: int) -> Int64[np.ndarray, " n"]:
    """Return one number for all images, which takes no memory."""
    return np.broadcast_to(np.int64(value), count)


def texts(values: Iterable[str]) -> pa.LargeStringArray:
    """Return names as a column.

    Raises: UnicodeEncodeError for a name with lone surrogates, which is no text.
    """
    return pa.array(list(values), TEXT)


class Texts(Sequence[str]):
    """Names in a column, such as those of a million files that are no images."""

    def __init__(self, column: pa.LargeStringArray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    def __repr__(self) -> str:
        more = ", ..." if len(self) > SHOWN else ""
        return f"[{', '.join(map(repr, self[:SHOWN]))}{more}]"

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), PART):
            yield from self.column.slice(start, PART).to_pylist()

    @overload
    def __getitem__(self, key: int) -> str: ...

    @overload
    def __getitem__(self, key: slice) -> list[str]: ...

    def __getitem__(self, key: int | slice) -> str | list[str]:
        found = self.column[key]
        return list(found.to_pylist()) if isinstance(key, slice) else str(found.as_py())


def column_of(names: Sequence[str]) -> pa.LargeStringArray:
    """Return names as a column."""
    return names.column if isinstance(names, Texts) else texts(names)


def sorted_texts(columns: Iterable[pa.Array]) -> Texts:
    """Return names of several files or folders, sorted."""
    joined = pa.concat_arrays([pa.array([], TEXT), *columns])
    return Texts(joined.take(pc.array_sort_indices(joined)))


@dataclass(frozen=True, eq=False)
class Joined:
    """The parts of a source as one."""

    ids: pa.ChunkedArray
    labels: Labels
    usable: Bool[np.ndarray, " n"]
    """Whether each image can be used as far as a listing knows."""
    parts: Sequence[Part]

    @property
    def starts(self) -> list[int]:
        """First row of each part."""
        return [0, *np.cumsum([len(part) for part in self.parts]).tolist()][:-1]

    def id_of(self, row: int) -> str:
        """Return the id of a row."""
        return str(self.ids[row].as_py())

    def faults(self) -> Iterator[tuple[int, str]]:
        """Yield row and reason of each image that cannot be used."""
        for start, part in zip(self.starts, self.parts, strict=True):
            for row, reason in zip(part.faulty.rows, part.faulty.reasons, strict=True):
                yield start + row, reason


def join(parts: Sequence[Part]) -> Joined:
    """Return the parts as one; ids are not copied."""
    numbers = Numbers()
    codes = [_renumbered(part.labels, numbers) for part in parts]
    ids = pa.chunked_array([part.ids for part in parts], TEXT)
    empty = np.empty(0, np.int32)
    labels = Labels(np.concatenate([empty, *codes]), numbers.values)
    joined = Joined(ids, labels, np.ones(len(ids), np.bool_), parts)
    joined.usable[[row for row, _ in joined.faults()]] = False
    return joined


def _renumbered(labels: Labels, numbers: Numbers) -> Int32[np.ndarray, " n"]:
    """Return the codes of labels by common numbers."""
    common = [numbers.of(value) for value in labels.values]
    codes: np.ndarray = np.array([*common, NO_LABEL], np.int32)[labels.codes]
    return codes
