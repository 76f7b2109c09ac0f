"""Columns of labels and ids in Arrow memory, and the names of classes beside them.

A few bytes of Arrow or Parquet can stand for billions of values. So the number of rows, the types
and the lengths are checked before values are made of them.
"""

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.files import SourceFile
from otcondense.datasets.named_files import folder_name
from otcondense.datasets.names import LONGEST_ID
from otcondense.datasets.parts import NO_LABEL, TEXT, Labels
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError
from otcondense.reading import parse_json

ROWS_ALWAYS = 2**16
"""Rows that a file of any size may have: files of tests have few bytes a row."""
PLAIN_KINDS = (
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_null,
    pa.types.is_temporal,
)
"""Types whose values have one small size."""
TEXT_KINDS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
)
"""Types whose values have a length."""
ROW_DIGITS = 8
"""Digits of the number of a row in its id, with zeros in front; more if there are more rows."""


def check_rows(path: str, rows: int, size_bytes: int) -> None:
    """Refuse a file that claims more rows than it has bytes: every image takes some.

    Raises: InputError naming both.
    """
    if rows > max(size_bytes, ROWS_ALWAYS):
        raise InputError(
            f"{path} must hold at least one byte for each row, found {rows} rows in {size_bytes} "
            "bytes; is it the right file?"
        )


def check_column(source: SourceConfig, where: str, schema: pa.Schema, setting: str) -> pa.DataType:
    """Return the type of the column that `source.SETTING` names.

    Raises: InputError with the nearest column if there is none of this name.
    """
    name = getattr(source, setting)
    if schema.get_field_index(name) < 0:
        found = "two columns" if name in schema.names else "no column"
        near = get_close_matches(name, schema.names, n=1) or schema.names
        raise InputError(
            f"{where} has {found} {name!r}; "
            f"set source.{setting} to one of its columns, such as {', '.join(near)}"
        )
    return schema.field(name).type


def labels_of(
    source: SourceConfig,
    where: str,
    schema: pa.Schema,
    rows: int,
    read: Callable[[str], pa.ChunkedArray],
) -> Labels:
    """Return the labels of a table; all rows are of one class if the source has no labels.

    Args:
        source: the configuration.
        where: the file, for messages.
        schema: of the table.
        rows: of the table.
        read: returns a column by its name.

    Raises: InputError as `check_column` and `encoded_labels` do.
    """
    if source.label_column is None:
        return Labels.same(folder_name(source), rows)
    check_column(source, where, schema, "label_column")
    return encoded_labels(where, source.label_column, read(source.label_column))


def encoded_labels(where: str, name: str, column: pa.ChunkedArray) -> Labels:
    """Return a column of labels as numbers of the different ones.

    Args:
        where: the file, for messages.
        name: of the column.
        column: checked by nobody so far.

    Raises: InputError for values of another type, texts that are far too long, or invalid UTF-8.
    """
    column = _checked(where, name, column)
    kind = plain_type(column.type)
    if not (is_text(kind) or pa.types.is_integer(kind)):
        return _of_another_type(column)
    encoded = column.dictionary_encode().unify_dictionaries()
    chunks = encoded.chunks
    codes = [chunk.indices.fill_null(NO_LABEL).to_numpy() for chunk in chunks]
    joined = np.concatenate([np.empty(0, np.int32), *codes])
    # A dictionary can have values that no row has.
    used = np.unique(joined[joined != NO_LABEL])
    values = chunks[0].dictionary.take(pa.array(used)).to_pylist() if len(used) else []
    compact = np.searchsorted(used, joined).astype(np.int32)
    return Labels(np.where(joined == NO_LABEL, np.int32(NO_LABEL), compact), values)


def _of_another_type(column: pa.ChunkedArray) -> Labels:
    """Return labels that are neither text nor whole numbers: the first one stands for all."""
    is_valid = column.is_valid().to_numpy()
    if not is_valid.any():
        return Labels(np.full(len(column), NO_LABEL, np.int32), [])
    first = column[int(is_valid.argmax())].as_py()
    return Labels(np.where(is_valid, 0, NO_LABEL).astype(np.int32), [first])


def text_ids(where: str, name: str, column: pa.ChunkedArray) -> pa.LargeStringArray:
    """Return a column of ids as text.

    Raises: InputError as `encoded_labels` does, and for a row without an id.
    """
    ids = text_column(where, name, column)
    if ids.null_count:
        row = ids.is_null().to_numpy(zero_copy_only=False).argmax()
        raise InputError(
            f"column {name!r} of {where} must have an id in each row, found none in row {row}; "
            "set source.id_column"
        )
    return ids


def text_column(where: str, name: str, column: pa.ChunkedArray) -> pa.LargeStringArray:
    """Return a column of plain values as text; a row without a value stays one.

    Raises: InputError as `encoded_labels` does.
    """
    column = _checked(where, name, column)
    kind = plain_type(column.type)
    if is_text(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind):
        return one_array(column.cast(kind).cast(TEXT))
    values = column.to_pylist()
    return pa.array([None if value is None else str(value) for value in values], TEXT)


def _checked(where: str, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of plain values, after checks before memory is taken for them."""
    try:
        column.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"column {name!r} of {where} is damaged ({error}); restore the file"
        ) from error
    kind = plain_type(column.type)
    if not any(test(kind) for test in (*PLAIN_KINDS, *TEXT_KINDS)):
        raise InputError(
            f"column {name!r} of {where} must hold whole numbers or text, found {kind}; "
            "set source.label_column and source.id_column"
        )
    if any(test(kind) for test in TEXT_KINDS):
        is_dictionary = pa.types.is_dictionary(column.type)
        for chunk in column.chunks:
            _check_lengths(where, name, chunk.dictionary if is_dictionary else chunk)
    return column


def _check_lengths(where: str, name: str, values: pa.Array) -> None:
    longest = pc.max(pc.binary_length(values)).as_py() or 0
    if longest > LONGEST_ID:
        raise InputError(
            f"values of column {name!r} of {where} must have at most {LONGEST_ID} bytes, found "
            f"{longest}; set source.label_column and source.id_column"
        )


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type of the values of a column that may be a dictionary."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def is_text(kind: pa.DataType) -> bool:
    """Tell whether values of a type are text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """Return a column as one array."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def huggingface_names(
    metadata: dict[bytes, bytes] | None, label_column: str | None, where: str
) -> tuple[str, ...] | None:
    """Return the class names that the `datasets` library kept in an Arrow schema.

    Returns: None if another library wrote the schema.

    Raises: InputError if they are damaged.
    """
    text = (metadata or {}).get(b"huggingface")
    if not text or label_column is None:
        return None
    description = parse_json(text, f"the Hugging Face metadata of {where}")
    info = description.get("info") if isinstance(description, dict) else None
    return label_names(info, label_column, where)


def label_names(info: Any, label_column: str | None, where: str) -> tuple[str, ...] | None:
    """Return the class names in a description of a data set as the `datasets` library writes it.

    Returns: None if it has none.

    Raises: InputError if they are no list of texts.
    """
    value = info
    for key in ("features", label_column or "", "names"):
        value = value.get(key) if isinstance(value, dict) else None
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(
            f"the class names in {where} must be a list of texts, found {type(value).__name__}; "
            "set source.class_names"
        )
    return tuple(value)


def row_ids(file: SourceFile, count: int) -> pa.LargeStringArray:
    """Return the ids of the rows of a file that has no column of ids: FILE/ROW."""
    if count > 10**ROW_DIGITS:
        plain = pc.cast(pa.array(np.arange(count)), TEXT)
        numbers = pc.utf8_lpad(plain, ROW_DIGITS, "0")
        return pc.binary_join_element_wise(
            pa.scalar(file.name, TEXT), numbers, pa.scalar("/", TEXT)
        )
    start = np.frombuffer(f"{file.name}/".encode(), np.uint8)
    width = len(start) + ROW_DIGITS
    characters = np.empty((count, width), np.uint8)
    characters[:, : len(start)] = start
    rest = np.arange(count, dtype=np.int32)
    for place in range(width - 1, len(start) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        characters[:, place] = digit + ord("0")
    bounds = np.arange(count + 1, dtype=np.int64) * width
    return pa.LargeStringArray.from_buffers(
        count, pa.py_buffer(bounds), pa.py_buffer(characters.ravel())
    )


def is_bytes(kind: pa.DataType) -> bool:
    """Tell whether values of a type are strings of bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
