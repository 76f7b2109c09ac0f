"""Opening Parquet files: what a file claims is checked before memory is taken for it."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.byte_sizes import byte_size
from otcondense.datasets.access import open_file
from otcondense.datasets.columns import check_rows
from otcondense.datasets.parquet_footer import Leaf, RowGroup, page_bytes, read_row_groups
from otcondense.datasets.records import is_remote
from otcondense.errors import InputError

EXPANSION = 100
"""Bytes that one byte may become when it is decompressed: images hardly shrink, and gzip could give
a thousand and Zstandard a hundred thousand."""
EXPANSION_FLOOR = 2**26
"""Bytes that any column may become."""
VALUES_PER_BYTE = 64
"""Numbers that a byte may stand for: rows of features with many zeros take far less than a byte a
number, and run-length encoding could give millions."""
READ_BYTES = 2**20
"""Bytes of a column that are read from the file together."""
TEXT_TYPE = "BYTE_ARRAY"
"""Parquet's type of strings and bytes."""


@dataclass(frozen=True)
class ParquetSource:
    """An open Parquet file, whose strings and bytes are read as dictionaries."""

    path: str
    file: Any
    """pyarrow's ParquetFile."""
    schema: pa.Schema
    """As the file was written."""
    groups: tuple[RowGroup, ...]
    """Sizes that the file claims."""
    opened: Any
    """The open file."""

    @property
    def rows(self) -> int:
        """Rows that the file claims."""
        return sum(group.rows for group in self.groups)

    def check(self, name: str, groups: Iterable[int] | None = None) -> None:
        """Refuse a column that would become far larger in memory than it is in the file.

        Args:
            name: a column, or a leaf of one such as `image.bytes`.
            groups: numbers of the row groups that are read; None for all.

        Raises: InputError naming file and column.
        """
        for number in range(len(self.groups)) if groups is None else groups:
            for leaf in self.groups[number].below(name):
                _check_leaf(self.path, leaf)
                # Through a network, each header would be a request.
                if not is_remote(self.path) and page_bytes(self.opened, leaf) > leaf.plain_bytes:
                    raise InputError(
                        f"column {leaf.path} of {self.path} must be as large as its footer says, "
                        "found larger pages; restore the file or leave it out"
                    )

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column that was checked.

        Raises: InputError as `check` does; ValueError for another length than in the footer.
        """
        self.check(name)
        column = self.file.read(columns=[name]).column(0)
        if len(column) != self.rows:
            raise ValueError(f"column {name} has {len(column)} rows, its footer says {self.rows}")
        return column


@contextmanager
def open_parquet(path: str) -> Iterator[ParquetSource]:
    """Open a Parquet file.

    Raises: InputError naming the file if it is damaged or claims more than it can hold, also if
        only reading its columns shows it.
    """
    with open_file(path) as opened, _readable(path):
        groups = read_row_groups(opened)
        check_rows(path, sum(group.rows for group in groups), opened.seek(0, 2))
        first = pq.ParquetFile(opened)
        metadata = first.metadata
        _ = first.schema_arrow.names  # fails for names that are no text
        if [metadata.num_rows, metadata.num_row_groups] != [
            sum(group.rows for group in groups),
            len(groups),
        ]:
            raise ValueError("its footer contradicts itself")
        file = pq.ParquetFile(
            opened,
            metadata=metadata,
            read_dictionary=_text_leaves(metadata),
            buffer_size=READ_BYTES,
        )
        yield ParquetSource(path, file, first.schema_arrow, tuple(groups), opened)


@contextmanager
def _readable(path: str) -> Iterator[None]:
    """Turn the errors of a damaged file into one that names it."""
    try:
        yield
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError, LookupError) as error:
        is_storage_fault = isinstance(error, OSError) and error.errno is not None
        if is_storage_fault:
            raise
        raise InputError(
            f"{path} is not a readable Parquet file ({error}); restore it or leave it out"
        ) from error


def _text_leaves(metadata: Any) -> list[str]:
    columns = [metadata.schema.column(number) for number in range(metadata.num_columns)]
    return [column.path for column in columns if column.physical_type == TEXT_TYPE]


def _check_leaf(path: str, leaf: Leaf) -> None:
    larger = leaf.plain_bytes > max(EXPANSION * leaf.stored_bytes, EXPANSION_FLOOR)
    if larger or leaf.values > max(VALUES_PER_BYTE * leaf.stored_bytes, EXPANSION_FLOOR):
        raise InputError(
            f"column {leaf.path} of {path} must hold about as much as it takes, found "
            f"{leaf.values} values and {byte_size(leaf.plain_bytes)} in "
            f"{byte_size(leaf.stored_bytes)}; is it the right file?"
        )
