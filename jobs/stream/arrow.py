"""Parquet files and streams of Arrow as parts of a stream."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.stream.parts import FEATURES, KINDS, PART_ROWS, Columns, Part, rows_of_a_part
from otcondense.datasets.parquet_open import open_parquet
from otcondense.errors import InputError

INPUT = "the standard input"
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
NUMBERS = (pa.types.is_integer, pa.types.is_floating)


def parquet_parts(path: str, start: int, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a Parquet file from row `start` on, a row group after another.

    Raises: InputError if it is damaged, or lacks a column.
    """
    with open_parquet(path) as opened:
        used = list(columns.of(path, opened.schema.names).values())
        for name in used:
            opened.check(name)
        before = 0
        for number, group in enumerate(opened.groups):
            row, skipped = before, max(0, start - before)
            before += group.rows
            if skipped >= group.rows:
                continue
            batches = opened.file.iter_batches(PART_ROWS, row_groups=[number], columns=used)
            for batch in batches:
                left_out = min(skipped, len(batch))
                yield from _cut(path, batch.slice(left_out), columns, row + left_out)
                skipped -= left_out
                row += len(batch)


def arrow_parts(file: Any, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a stream of Arrow record batches.

    Raises: InputError if it is no such stream, or ends in the middle of a batch.
    """
    passed = 0
    try:
        with pa.ipc.open_stream(file) as reader:
            for batch in reader:
                yield from _cut(INPUT, batch, columns, passed)
                passed += len(batch)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{INPUT} must be a whole stream of Arrow record batches, found damage or its end "
            f"after {passed} rows ({error}); send it again from its start"
        ) from error


def _cut(where: str, batch: Any, columns: Columns, first: int) -> Iterator[Part]:
    """Yield the rows of a record batch in parts; `first` is the number of its first row."""
    used = columns.of(where, batch.schema.names)
    row_bytes = batch.column(used[FEATURES]).nbytes // max(1, len(batch))
    step = rows_of_a_part(row_bytes)
    for row in range(0, len(batch), step):
        rows = batch.slice(row, step)
        features = _matrix(f"{FEATURES} in {where}", rows.column(used[FEATURES]), first + row)
        named = {
            kind: _values(f"{kind} in {where}", rows.column(used[kind]), first + row)
            for kind in KINDS
            if kind in used
        }
        yield Part(first + row, features, **named)


def _matrix(where: str, column: Any, first: int) -> np.ndarray:
    """Return lists of numbers of one length as [n, d]; `first` is the number of the first row.

    Raises: InputError for another type, gaps, or lists of several lengths.
    """
    values = column.storage if isinstance(column, pa.ExtensionArray) else column
    kind: Any = values.type
    is_list = any(test(kind) for test in LISTS)
    if not is_list or not any(test(kind.value_type) for test in NUMBERS):
        raise InputError(f"{where} must hold lists of numbers, found {kind}; write it again so")
    lengths = pc.list_value_length(values).to_pylist()
    flat = values.flatten()
    if len(set(lengths)) == 1 and lengths[0] and not flat.null_count:
        numbers: np.ndarray = flat.to_numpy(zero_copy_only=False)
        return numbers.reshape(len(values), -1)
    if None in lengths or flat.null_count:
        row = first + _first_gap(values)
        raise InputError(f"{where} must have no gaps, found one in row {row}; leave such rows out")
    if 0 in lengths:
        row = first + lengths.index(0)
        raise InputError(f"{where} must have numbers, found none in row {row}; leave such rows out")
    other = next(row for row, each in enumerate(lengths) if each != lengths[0])
    raise InputError(
        f"{where} must be lists of one length, found {lengths[0]} numbers in row {first} and "
        f"{lengths[other]} in row {first + other}; leave such rows out"
    )


def _first_gap(values: Any) -> int:
    """Return the first row without numbers, or with a missing one."""
    rows = enumerate(values.to_pylist())
    return next(row for row, each in rows if each is None or None in each)


def _values(where: str, column: Any, first: int) -> list[Any]:
    """Return texts or numbers; `first` is the number of the first row.

    Raises: InputError for a row without a value.
    """
    if column.null_count:
        row = first + column.is_null().to_pylist().index(True)
        raise InputError(
            f"{where} must hold a value in each row, found none in row {row}; leave such rows out"
        )
    found: list[Any] = column.to_pylist()
    return found
