"""One Parquet file or a folder of them: a row per image, with the image's bytes or its path, and a label.

Only labels and ids are read to list a source; the bytes of an image are read where it is decoded. Parquet is read by row
groups, so files sorted by class, or with small row groups, are read once, and files in random order once per class.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.locations import parquet_cell
from otcondense.datasets.records import Listing, SourceConfig, image_path, is_remote
from otcondense.errors import InputError


def scan_parquet(source: SourceConfig) -> Listing:
    """Return the images of the Parquet files at `source.path`; an id is FILE/ROW unless `source.id_column` is set.

    Class names come from the Hugging Face metadata of the files where they have any.

    Raises: InputError for a damaged file, a missing column, one of the wrong type, and whatever is wrong with labels and ids.
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

    Raises: InputError naming the file if it is damaged, also where that shows only once its columns are read.
    """
    with fsspec.open(file.path, "rb") as opened:
        try:
            found = pq.ParquetFile(opened)
            yield found, found.schema_arrow
        except (pa.ArrowException, OSError) as error:
            if (
                isinstance(error, OSError) and error.errno is not None
            ):  # the storage failed, not the file
                raise
            raise InputError(
                f"{file.path} is not a readable Parquet file ({error}); restore or remove it"
            ) from error


def huggingface_names(
    metadata: dict[bytes, bytes] | None, label_column: str
) -> tuple[str, ...] | None:
    """Return the class names that the `datasets` library kept in an Arrow schema, None if it did not write it."""
    text = (metadata or {}).get(b"huggingface")
    features = (json.loads(text).get("info") or {}).get("features") or {} if text else {}
    return label_names(features, label_column)


def label_names(features: dict[str, Any], label_column: str) -> tuple[str, ...] | None:
    """Return the class names in a description of features as the `datasets` library writes it."""
    names = (features.get(label_column) or {}).get("names")
    return tuple(names) if names else None


def check_column(source: SourceConfig, where: str, schema: pa.Schema, setting: str) -> pa.DataType:
    """Return the type of the column that `source.SETTING` names.

    Raises: InputError with the nearest column if there is none of this name.
    """
    name = getattr(source, setting)
    if name not in schema.names:
        near = get_close_matches(name, schema.names, n=1) or schema.names
        raise InputError(
            f"{where} has no column {name!r}; set source.{setting} to one of its columns, such as {', '.join(near)}"
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
    leaf = source.image_column
    if pa.types.is_struct(kind) and any(
        kind.field(i).name == "bytes" and is_bytes(kind.field(i).type)
        for i in range(kind.num_fields)
    ):
        leaf = f"{leaf}.bytes"
    elif not is_bytes(kind):
        raise InputError(
            f"column {leaf!r} of {file.path} must hold bytes, a struct with bytes, or paths as text, found {kind}"
        )
    return _cell_rows(source, file, table_file, leaf)


def _cell_rows(
    source: SourceConfig, file: SourceFile, table_file: Any, leaf: str
) -> Iterator[LabelledRow]:
    labels = _column(table_file, source.label_column)
    ids = row_ids(source, file, table_file, len(labels))
    position = 0
    for group in range(table_file.num_row_groups):
        details = table_file.metadata.row_group(group)
        chunks = [details.column(number) for number in range(details.num_columns)]
        size = next(
            chunk.total_compressed_size for chunk in chunks if chunk.path_in_schema == leaf
        ) // max(1, details.num_rows)
        for row in range(details.num_rows):
            location = parquet_cell(file.path, group, row, leaf)
            yield LabelledRow(ids[position], labels[position], location, size, file.mtime_ns)
            position += 1


def _path_rows(source: SourceConfig, table_file: Any) -> Iterator[LabelledRow]:
    """Yield the rows of a file with a column of paths, which are the ids too unless there is a column of ids."""
    folder = (
        source
        if is_remote(source.path) or Path(source.path).is_dir()
        else source.model_copy(update={"path": str(Path(source.path).parent)})
    )
    names = _column(table_file, source.image_column)
    labels = _column(table_file, source.label_column)
    ids = names if source.id_column is None else _column(table_file, source.id_column)
    for image_id, name, label in zip(ids, names, labels, strict=True):
        location = image_path(folder, name or "")
        size, changed = _size_and_change(location)
        yield LabelledRow(str(image_id), label, location, size, changed)


def _size_and_change(location: str) -> tuple[int, int]:
    """Return size and time of change of a local file; what is missing is found out, and quarantined, where it is read."""
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
