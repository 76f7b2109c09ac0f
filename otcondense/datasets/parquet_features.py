"""Some rows of features in Parquet files: columns of lists of numbers."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32, Int64

from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError

BATCH_ROWS = 2**13
"""Rows of Parquet that are decoded together: a row group can have gigabytes."""
LENGTHS_SHOWN = 5
"""Lengths that an error message lists."""


def parquet_rows(
    source: SourceConfig, path: str, rows: Int64[np.ndarray, " n"]
) -> Float32[np.ndarray, "n d"]:
    """Return the features of some rows of a Parquet file, which may be in any order.

    Only the row groups that hold them are read, a few rows at a time.

    Args:
        source: the features.
        path: of the file.
        rows: numbers of rows of the file.

    Raises: InputError if they are not numbers in rows of one length, or the file is damaged.
    """
    features: np.ndarray | None = None
    order = np.argsort(rows, kind="stable")
    wanted = rows[order]
    filled = 0
    with open_parquet(path) as opened:
        for first, matrix in _matrices(source, opened, wanted):
            inside = slice(*np.searchsorted(wanted, [first, first + len(matrix)]))
            if features is None:
                features = np.empty((len(rows), matrix.shape[1]), dtype=np.float32)
            if matrix.shape[1] != features.shape[1]:
                lengths = sorted([features.shape[1], matrix.shape[1]])
                raise InputError(f"features of {path} must all have one length, found {lengths}")
            features[order[inside]] = matrix[wanted[inside] - first]
            filled += inside.stop - inside.start
        if features is None or filled < len(rows):
            raise ValueError(f"it holds {filled} of {len(rows)} rows that its footer says it has")
    return features


def _matrices(
    source: SourceConfig, opened: ParquetSource, wanted: Int64[np.ndarray, " n"]
) -> Iterator[tuple[int, Float32[np.ndarray, "m d"]]]:
    """Yield the number of the first row and the features of consecutive rows.

    Args:
        source: the features.
        opened: the file.
        wanted: rows that must be among them, sorted.
    """
    name = source.features_column
    starts = np.cumsum([0, *(group.rows for group in opened.groups)])
    groups = np.searchsorted(starts, wanted, side="right") - 1
    opened.check(name)
    for group in np.unique(groups).tolist():
        first = int(starts[group])
        last = wanted[np.searchsorted(groups, group, side="right") - 1]
        for batch in opened.file.iter_batches(BATCH_ROWS, row_groups=[group], columns=[name]):
            yield first, feature_matrix(opened.path, pa.chunked_array([batch.column(0)]))
            first += len(batch)
            if first > last:
                break


def feature_matrix(path: str, column: Any) -> np.ndarray:
    """Return a column of lists of numbers as float32 [n, d].

    Raises: InputError if it holds something else, or lists of several lengths.
    """
    values = pa.concat_arrays(column.chunks)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    if not _is_list(values.type) or not pa.types.is_floating(values.type.value_type):
        raise InputError(
            f"features in {path} must be lists of floating-point numbers, found {values.type}; "
            "set source.features_column"
        )
    flat = values.flatten()
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    if len(lengths) != 1 or lengths[0] in (None, 0) or flat.null_count:
        raise InputError(
            f"features in {path} must be lists of one length without gaps, "
            f"found the lengths {lengths[:LENGTHS_SHOWN]}"
        )
    numbers = np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float32)
    return numbers.reshape(len(values), -1)


def _is_list(kind: pa.DataType) -> bool:
    is_list = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in is_list)
