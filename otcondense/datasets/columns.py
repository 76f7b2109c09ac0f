"""Columns of labels and ids in Arrow memory as plain values, and the names of classes beside them.

A few bytes of Arrow or Parquet can stand for billions of values. So the number of rows, the types
and the lengths are checked before values are made of them.
"""

from difflib import get_close_matches
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.files import SourceFile
from otcondense.datasets.names import LONGEST_ID
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


def column_values(where: str, name: str, column: pa.ChunkedArray) -> list[Any]:
    """Return labels or ids as Python values; equal texts are one object.

    Args:
        where: the file, for messages.
        name: of the column.
        column: checked by nobody so far.

    Raises: InputError for values of another type, texts that are far too long, or invalid UTF-8.
    """
    try:
        column.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"column {name!r} of {where} is damaged ({error}); restore the file"
        ) from error
    values: list[Any] = []
    for chunk in column.chunks:
        values += _values(where, name, chunk)
    return values


def _values(where: str, name: str, chunk: pa.Array) -> list[Any]:
    if any(test(chunk.type) for test in PLAIN_KINDS):
        return list(chunk.to_pylist())
    is_dictionary = pa.types.is_dictionary(chunk.type)
    texts = chunk.dictionary if is_dictionary else chunk
    if not any(test(texts.type) for test in TEXT_KINDS):
        raise InputError(
            f"column {name!r} of {where} must hold whole numbers or text, found {chunk.type}; "
            "set source.label_column and source.id_column"
        )
    _check_lengths(where, name, texts)
    encoded = chunk if is_dictionary else chunk.dictionary_encode()
    different = encoded.dictionary.to_pylist()
    return [None if number is None else different[number] for number in encoded.indices.to_pylist()]


def _check_lengths(where: str, name: str, texts: pa.Array) -> None:
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest > LONGEST_ID:
        raise InputError(
            f"values of column {name!r} of {where} must have at most {LONGEST_ID} bytes, found "
            f"{longest}; set source.label_column and source.id_column"
        )


def huggingface_names(
    metadata: dict[bytes, bytes] | None, label_column: str, where: str
) -> tuple[str, ...] | None:
    """Return the class names that the `datasets` library kept in an Arrow schema.

    Returns: None if another library wrote the schema.

    Raises: InputError if they are damaged.
    """
    text = (metadata or {}).get(b"huggingface")
    if not text:
        return None
    description = parse_json(text, f"the Hugging Face metadata of {where}")
    info = description.get("info") if isinstance(description, dict) else None
    return label_names(info, label_column, where)


def label_names(info: Any, label_column: str, where: str) -> tuple[str, ...] | None:
    """Return the class names in a description of a data set as the `datasets` library writes it.

    Returns: None if it has none.

    Raises: InputError if they are no list of texts.
    """
    value = info
    for key in ("features", label_column, "names"):
        value = value.get(key) if isinstance(value, dict) else None
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError(
            f"the class names in {where} must be a list of texts, found {type(value).__name__}; "
            "set source.class_names"
        )
    return tuple(value)


def row_id(file: SourceFile, row: int) -> str:
    """Return the id of a row of a file that has no column of ids."""
    return f"{file.name}/{row:08d}"


def is_bytes(kind: pa.DataType) -> bool:
    """Tell whether values of a type are strings of bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
