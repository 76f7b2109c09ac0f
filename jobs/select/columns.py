"""Columns of Parquet files as arrays: numbers or texts, or lists of numbers of one length."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.parquet_open import open_parquet
from otcondense.errors import InputError

SHOWN = 5
"""Lengths that a message lists."""
EXPECTED = "numbers or texts, or lists of numbers of one length"
"""What a column can hold, for messages."""


def read_column(path: str, name: str) -> np.ndarray:
    """Return a column as an array: [n], or [n, d] if it holds lists.

    Args:
        path: the Parquet file.
        name: of a column that it has.

    Raises: InputError naming both if it holds something else, gaps, or no row at all.
    """
    where = f"column {name} of {path}"
    with open_parquet(path) as opened:
        if not opened.rows:
            raise InputError(f"{path} must have rows, found none; is it the right file?")
        kind = _stored(opened.schema.field(name).type)
        is_list = _is_list(kind)
        if not (_is_number(kind.value_type) if is_list else _is_scalar(kind)):
            raise InputError(
                f"{where} must hold {EXPECTED}, found {kind}; write it again as one of these"
            )
        column: Any = opened.column(name)
        values = pa.concat_arrays(column.chunks)
    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    return _matrix(where, values) if is_list else _vector(where, values)


def _stored(kind: pa.DataType) -> Any:
    """Return the type in which a column is stored, such as that of a tensor."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def _is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_scalar(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_scalar(kind.value_type)
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_boolean, _is_number)
    return any(test(kind) for test in tests)


def _vector(where: str, values: Any) -> np.ndarray:
    if values.null_count:
        row = values.is_null().to_pylist().index(True)
        raise InputError(f"{where} must hold a value in each row, found none in row {row}")
    found = values.to_pylist()
    # An array of texts would take the memory of the longest one for each row, and drop NULs.
    is_text = isinstance(found[0], str)
    return np.array(found, dtype=object if is_text else None)


def _matrix(where: str, values: Any) -> np.ndarray:
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    flat = values.flatten()
    if len(lengths) != 1 or lengths[0] in (None, 0) or flat.null_count:
        found = f"the lengths {', '.join(map(str, lengths[:SHOWN]))}"
        raise InputError(
            f"{where} must hold lists of one length without gaps, found "
            f"{'gaps' if None in lengths or flat.null_count else found}; leave such rows out"
        )
    numbers: np.ndarray = flat.to_numpy(zero_copy_only=False)
    return numbers.reshape(len(values), -1)
