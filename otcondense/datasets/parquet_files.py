"""One Parquet file or a folder of them: a row per image, with its bytes or its path, and a label.

Only labels and ids are read to list a source; the bytes of an image are read when it is decoded.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int64

from otcondense.datasets.building import build_listing
from otcondense.datasets.captions import with_column
from otcondense.datasets.columns import (
    check_column,
    huggingface_names,
    is_bytes,
    is_text,
    labels_of,
    plain_type,
    row_ids,
    text_column,
    text_ids,
)
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.listing import ROW_BITS, ListedFile, Listing
from otcondense.datasets.missing_bytes import with_paths
from otcondense.datasets.named_files import folder_of
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.parts import Part, sorted_texts, spread, texts
from otcondense.datasets.path_parts import path_part, without
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError

ROWS_TOGETHER = 1024
"""Rows whose bytes are in memory together, to see which rows have some."""


def scan_parquet(source: SourceConfig) -> Listing:
    """Return the images of the Parquet files at `source.path`.

    An id is FILE/ROW unless `source.id_column` is set. Class names come from the Hugging Face
    metadata of the files if they have any. A file without rows is ignored and counted.

    Raises: InputError for a damaged file, a missing column, one of the wrong type, and wrong labels
        or ids.
    """
    files, others = container_files(source, ".parquet")
    parts: list[Part] = []
    empty: list[str] = []
    names: tuple[str, ...] | None = None
    for file in files:
        with open_parquet(file.path) as opened:
            if not opened.rows:
                empty.append(file.name)
                continue
            metadata = opened.schema.metadata
            names = names or huggingface_names(metadata, source.label_column, file.path)
            parts += _parts(source, file, opened)
    ignored = sorted_texts([without(others.column, parts), texts(empty)])
    return build_listing(source, parts, names, ignored, folder_of(source))


def _parts(source: SourceConfig, file: SourceFile, opened: ParquetSource) -> list[Part]:
    kind = plain_type(check_column(source, file.path, opened.schema, "image_column"))
    if is_text(kind):
        return [
            with_column(source, file, opened.schema, opened.column, _paths(source, file, opened))
        ]
    leaf = _leaf(source, file, kind)
    part = _cells(source, file, opened, leaf)
    part = with_column(source, file, opened.schema, opened.column, part)
    is_missing = _without_bytes(opened, leaf, kind)
    paths = _paths_of(source, file, opened, is_missing)
    return with_paths(source, folder_of(source), part, is_missing, paths)


def _leaf(source: SourceConfig, file: SourceFile, kind: pa.DataType) -> str:
    """Return the name of the column of bytes: the image column, or the field `bytes` in it.

    The column of a file whose rows all have no bytes may have no type.
    """
    name = source.image_column
    if _may_be_bytes(kind):
        return name
    if pa.types.is_struct(kind) and _may_be_bytes(_field_type(kind, "bytes")):
        return f"{name}.bytes"
    raise InputError(
        f"column {name!r} of {file.path} must hold bytes, a struct with bytes, or paths as text, "
        f"found {kind}"
    )


def _may_be_bytes(kind: pa.DataType | None) -> bool:
    return kind is not None and (is_bytes(kind) or pa.types.is_null(kind))


def _field_type(kind: pa.DataType, name: str) -> pa.DataType | None:
    """Return the type of a field of a struct, None if there is none."""
    place = kind.get_field_index(name)
    return None if place < 0 else plain_type(kind.field(place).type)


def _without_bytes(opened: ParquetSource, leaf: str, kind: pa.DataType) -> Bool[np.ndarray, " n"]:
    """Tell which rows have no bytes.

    The footer says how many they are. Only if some rows of a row group have bytes and others none
    is it read to see which. A file that does not say is taken to have all: an image without bytes
    is found when it is read.
    """
    if pa.types.is_null(_field_type(kind, "bytes") if pa.types.is_struct(kind) else kind):
        return np.ones(opened.rows, np.bool_)
    is_missing = np.zeros(opened.rows, np.bool_)
    start = 0
    for number, group in enumerate(opened.groups):
        nulls = sum(each.nulls or 0 for each in group.below(leaf))
        rows = slice(start, start + group.rows)
        if nulls == group.rows:
            is_missing[rows] = True
        elif nulls:
            parts = [values.is_null() for values in _batches(opened, leaf, number)]
            is_missing[rows] = pa.concat_arrays(parts).to_numpy(zero_copy_only=False)
        start += group.rows
    return is_missing


def _batches(opened: ParquetSource, leaf: str, group: int) -> Iterator[pa.Array]:
    """Yield the values of a leaf in a row group, some at a time."""
    opened.check(leaf, [group])
    for batch in opened.file.iter_batches(
        batch_size=ROWS_TOGETHER, row_groups=[group], columns=[leaf]
    ):
        column = batch.column(0)
        yield pc.struct_field(column, [0]) if pa.types.is_struct(column.type) else column


def _paths_of(
    source: SourceConfig,
    file: SourceFile,
    opened: ParquetSource,
    is_missing: Bool[np.ndarray, " n"],
) -> list[str | None]:
    """Return the paths of the rows without bytes."""
    kind = opened.schema.field(source.image_column).type
    path = _field_type(kind, "path") if pa.types.is_struct(kind) else None
    if not is_missing.any() or path is None or not is_text(path):
        return [None] * int(is_missing.sum())
    name = f"{source.image_column}.path"
    found: list[str | None] = []
    start = 0
    for number, group in enumerate(opened.groups):
        rows = np.flatnonzero(is_missing[start : start + group.rows])
        if len(rows):
            chunks = pa.chunked_array(_batches(opened, name, number))
            found += text_column(file.path, name, chunks).take(pa.array(rows)).to_pylist()
        start += group.rows
    return found


def _cells(source: SourceConfig, file: SourceFile, opened: ParquetSource, leaf: str) -> Part:
    """Return the rows of a file with a column of bytes."""
    labels = labels_of(source, file.path, opened.schema, opened.rows, opened.column)
    rows = np.array([group.rows for group in opened.groups], np.int64)
    stored = [sum(each.stored_bytes for each in group.below(leaf)) for group in opened.groups]
    mean = np.array(stored, np.int64) // np.maximum(1, rows)
    return Part(
        ids=parquet_ids(source, file, opened, len(labels)),
        labels=labels,
        size_bytes=np.repeat(mean, rows),
        mtime_ns=spread(file.mtime_ns, len(labels)),
        file=ListedFile(file.path, "cell", leaf),
        position=_positions(rows),
    )


def _positions(rows: Int64[np.ndarray, " groups"]) -> Int64[np.ndarray, " n"]:
    """Return row group and row of each row, as `cell_position` does for one."""
    groups = np.repeat(np.arange(len(rows)), rows)
    starts = np.repeat(np.cumsum(rows) - rows, rows)
    return np.asarray(groups << ROW_BITS | np.arange(len(groups)) - starts)


def _paths(source: SourceConfig, file: SourceFile, opened: ParquetSource) -> Part:
    """Return the rows of a file with a column of paths.

    A path is also the id, unless there is a column of ids.
    """
    labels = labels_of(source, file.path, opened.schema, opened.rows, opened.column)
    paths = text_column(file.path, source.image_column, opened.column(source.image_column))
    ids = None
    if source.id_column is not None:
        ids = parquet_ids(source, file, opened, len(labels))
    return path_part(source, file, labels, paths, ids)


def parquet_ids(
    source: SourceConfig, file: SourceFile, opened: ParquetSource, count: int
) -> pa.LargeStringArray:
    """Return the ids of a file's rows, from the column of ids if one is set."""
    if source.id_column is None:
        return row_ids(file, count)
    check_column(source, file.path, opened.schema, "id_column")
    return text_ids(file.path, source.id_column, opened.column(source.id_column))
