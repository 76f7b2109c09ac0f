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
SHOWN = 5
"""Lengths that a message lists."""


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
            skipped = max(0, start - before)
            before += group.rows
            if skipped >= group.rows:
                continue
            batches = opened.file.iter_batches(PART_ROWS, row_groups=[number], columns=used)
            for batch in batches:
                yield from _cut(path, batch.slice(min(skipped, len(batch))), columns)
                skipped = max(0, skipped - len(batch))


def arrow_parts(file: Any, start: int, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a stream of Arrow record batches from row `start` on.

    Raises: InputError if it is no such stream, ends in the middle of a batch, or is shorter than
        `start`.
    """
    passed = 0
    try:
        with pa.ipc.open_stream(file) as reader:
            for batch in reader:
                passed += len(batch)
                new = min(len(batch), max(0, passed - start))
                yield from _cut(INPUT, batch.slice(len(batch) - new), columns)
    except InputError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            f"{INPUT} must be a whole stream of Arrow record batches, found damage or its end "
            f"after {passed} rows ({error}); send it again from its start"
        ) from error
    if passed < start:
        raise InputError(
            f"{INPUT} must begin with the {start} rows that were read before, found {passed}; "
            "send the same stream from its start, or use another --state"
        )


def _cut(where: str, batch: Any, columns: Columns) -> Iterator[Part]:
    """Yield the rows of a record batch in parts."""
    used = columns.of(where, batch.schema.names)
    row_bytes = batch.column(used[FEATURES]).nbytes // max(1, len(batch))
    step = rows_of_a_part(row_bytes)
    for row in range(0, len(batch), step):
        rows = batch.slice(row, step)
        features = _matrix(f"{FEATURES} in {where}", rows.column(used[FEATURES]))
        named = {
            kind: _values(f"{kind} in {where}", rows.column(used[kind]))
            for kind in KINDS
            if kind in used
        }
        yield Part(features, **named)


def _matrix(where: str, column: Any) -> np.ndarray:
    """Return lists of numbers of one length as [n, d].

    Raises: InputError for another type, gaps, or lists of several lengths.
    """
    values = column.storage if isinstance(column, pa.ExtensionArray) else column
    kind: Any = values.type
    is_list = any(test(kind) for test in LISTS)
    if not is_list or not any(test(kind.value_type) for test in NUMBERS):
        raise InputError(f"{where} must hold lists of numbers, found {kind}; write it again so")
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    flat = values.flatten()
    if len(lengths) == 1 and lengths[0] and not flat.null_count:
        numbers: np.ndarray = flat.to_numpy(zero_copy_only=False)
        return numbers.reshape(len(values), -1)
    if None in lengths or flat.null_count:
        raise InputError(f"{where} must have no gaps, found some; leave such rows out")
    raise InputError(
        f"{where} must be lists of one length, found the lengths "
        f"{', '.join(map(str, lengths[:SHOWN]))}; leave such rows out"
    )


def _values(where: str, column: Any) -> list[Any]:
    """Return texts or numbers.

    Raises: InputError for a row without a value.
    """
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise InputError(f"{where} must hold a value in each row, found none in a row ({row})")
    found: list[Any] = column.to_pylist()
    return found
