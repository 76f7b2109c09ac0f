"""One Parquet file or a folder of them: a row per image, with its bytes or its path, and a label.

Only labels and ids are read to list a source; the bytes of an image are read when it is decoded.
Parquet is read by row groups: files sorted by class, or with small row groups, are read once, and
files in random order once per class.
"""

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.kinds import SOURCES
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.records import Listing, SourceConfig, image_path, is_remote
from otcondense.errors import InputError

ROW_GROUPS_KEPT = 2
"""Image columns of row groups that a process keeps, so that neighbouring rows are read together."""


def scan_parquet(source: SourceConfig) -> Listing:
    """Return the images of the Parquet files at `source.path`.

    An id is FILE/ROW unless `source.id_column` is set. Class names come from the Hugging Face
    metadata of the files if they have any.

    Raises: InputError for a damaged file, a missing column, one of the wrong type, and wrong labels
        or ids.
    """
    files, ignored = container_files(source, ".parquet")
    rows: list[LabelledRow] = []
    names: tuple[str, ...] | None = None
    for file in files:
        with open_parquet(file) as (table_file, schema):
            names = names or huggingface_names(schema.metadata, source.label_column)
            rows += _rows(source, file, table_file, schema)
    return build_listing(source, rows, names, ignored)


@contextmanager
def open_parquet(file: SourceFile) -> Iterator[tuple[Any, pa.Schema]]:
    """Open a Parquet file and return it with its schema.

    Raises: InputError naming the file if it is damaged, also if only reading its columns shows it.
    """
    with fsspec.open(file.path, "rb") as opened:
        try:
            found = pq.ParquetFile(opened)
            yield found, found.schema_arrow
        except (pa.ArrowException, OSError) as error:
            is_storage_fault = isinstance(error, OSError) and error.errno is not None
            if is_storage_fault:
                raise
            raise InputError(
                f"{file.path} is not a readable Parquet file ({error}); restore or remove it"
            ) from error


def huggingface_names(
    metadata: dict[bytes, bytes] | None, label_column: str
) -> tuple[str, ...] | None:
    """Return the class names that the `datasets` library kept in an Arrow schema.

    Returns: None if another library wrote the schema.
    """
    text = (metadata or {}).get(b"huggingface")
    if not text:
        return None
    info = json.loads(text).get("info") or {}
    return label_names(info.get("features") or {}, label_column)


def label_names(features: dict[str, Any], label_column: str) -> tuple[str, ...] | None:
    """Return the class names in a description of features as the `datasets` library writes it."""
    label = features.get(label_column) or {}
    names = label.get("names")
    return tuple(names) if names else None


def check_column(source: SourceConfig, where: str, schema: pa.Schema, setting: str) -> pa.DataType:
    """Return the type of the column that `source.SETTING` names.

    Raises: InputError with the nearest column if there is none of this name.
    """
    name = getattr(source, setting)
    if name not in schema.names:
        near = get_close_matches(name, schema.names, n=1) or schema.names
        raise InputError(
            f"{where} has no column {name!r}; "
            f"set source.{setting} to one of its columns, such as {', '.join(near)}"
        )
    return schema.field(name).type


def is_bytes(kind: pa.DataType) -> bool:
    """Tell whether values of a type are strings of bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def row_id(file: SourceFile, row: int) -> str:
    """Return the id of a row of a file that has no column of ids."""
    return f"{file.name}/{row:08d}"


def _rows(
    source: SourceConfig, file: SourceFile, table_file: Any, schema: pa.Schema
) -> Iterator[LabelledRow]:
    kind = check_column(source, file.path, schema, "image_column")
    check_column(source, file.path, schema, "label_column")
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _path_rows(source, table_file)
    return _cell_rows(source, file, table_file, _leaf(source, file, kind))


def _leaf(source: SourceConfig, file: SourceFile, kind: pa.DataType) -> str:
    """Return the name of the column of bytes: the image column, or the field `bytes` in it."""
    name = source.image_column
    if is_bytes(kind):
        return name
    if pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        if any(field.name == "bytes" and is_bytes(field.type) for field in fields):
            return f"{name}.bytes"
    raise InputError(
        f"column {name!r} of {file.path} must hold bytes, a struct with bytes, or paths as text, "
        f"found {kind}"
    )


def _cell_rows(
    source: SourceConfig, file: SourceFile, table_file: Any, leaf: str
) -> Iterator[LabelledRow]:
    labels = _column(table_file, source.label_column)
    ids = row_ids(source, file, table_file, len(labels))
    position = 0
    for group in range(table_file.num_row_groups):
        details = table_file.metadata.row_group(group)
        size = _leaf_bytes(details, leaf) // max(1, details.num_rows)
        for row in range(details.num_rows):
            location = _cell(file.path, group, row, leaf)
            yield LabelledRow(ids[position], labels[position], location, size, file.mtime_ns)
            position += 1


def _leaf_bytes(row_group: Any, leaf: str) -> int:
    """Return the size of one column of a row group in the file."""
    columns = [row_group.column(number) for number in range(row_group.num_columns)]
    sizes = {column.path_in_schema: column.total_compressed_size for column in columns}
    return int(sizes[leaf])


def _path_rows(source: SourceConfig, table_file: Any) -> Iterator[LabelledRow]:
    """Yield the rows of a file with a column of paths.

    A path is also the id, unless there is a column of ids.
    """
    folder = source
    if not is_remote(source.path) and not Path(source.path).is_dir():
        folder = source.model_copy(update={"path": str(Path(source.path).parent)})
    names = _column(table_file, source.image_column)
    labels = _column(table_file, source.label_column)
    ids = names if source.id_column is None else _column(table_file, source.id_column)
    for image_id, name, label in zip(ids, names, labels, strict=True):
        location = image_path(folder, name or "")
        size, changed = _size_and_change(location)
        yield LabelledRow(str(image_id), label, location, size, changed)


def _size_and_change(location: str) -> tuple[int, int]:
    """Return size and time of change of a local file, zeros for a remote or missing one.

    Extraction finds a missing file when it reads it, and puts it in the quarantine.
    """
    if is_remote(location) or not Path(location).is_file():
        return 0, 0
    status = Path(location).stat()
    return status.st_size, status.st_mtime_ns


def row_ids(source: SourceConfig, file: SourceFile, table_file: Any, count: int) -> list[str]:
    """Return the ids of a file's rows, from the column of ids if one is set."""
    if source.id_column is None:
        return [row_id(file, row) for row in range(count)]
    check_column(source, file.path, table_file.schema_arrow, "id_column")
    return [str(value) for value in _column(table_file, source.id_column)]


def _column(table_file: Any, name: str) -> list[Any]:
    return list(table_file.read(columns=[name]).column(name).to_pylist())


def _cell(path: str, row_group: int, row: int, column: str) -> str:
    """Return the location of one value.

    Args:
        path: the Parquet file.
        row_group: number of the row group.
        row: row within the row group.
        column: a leaf such as `image.bytes`.
    """
    reader = SOURCES["parquet"].reader
    assert reader is not None
    return f"{reader.prefix}:{row_group}/{row}/{quote(column, safe='.')}@{path}"


def read_cell(place: str, path: str) -> bytes:
    """Return the bytes of one image.

    Raises: OSError if the file cannot be read or is damaged.
    """
    row_group, row, column = place.split("/", 2)
    changed = 0 if is_remote(path) else Path(path).stat().st_mtime_ns
    try:
        value = _row_group(path, changed, int(row_group), unquote(column))[int(row)].as_py()
    except (pa.ArrowInvalid, IndexError) as error:
        raise OSError(errno.EIO, f"damaged Parquet file: {error}") from error
    return bytes(value or b"")


@lru_cache(maxsize=ROW_GROUPS_KEPT)
def _row_group(path: str, _changed: int, row_group: int, column: str) -> Any:
    """Return one leaf column of a row group.

    `_changed` is the file's time of change: the content of an earlier file is not used again.
    """
    with fsspec.open(path, "rb") as file:
        table = pq.ParquetFile(file).read_row_group(row_group, columns=[column])
    array = table.column(0).combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0)
    if not pa.types.is_struct(array.type):
        return array
    return array.field(column.rsplit(".", 1)[1])
