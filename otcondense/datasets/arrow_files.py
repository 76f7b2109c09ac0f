"""A data set that Hugging Face's `save_to_disk` wrote, read with Arrow alone.

Its files are not compressed, so every image is a range of bytes: a value has the same place in the
file on the disk as in the mapped file in memory.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from otcondense.datasets.access import open_file, read_file
from otcondense.datasets.arrow_messages import compressed_messages
from otcondense.datasets.byte_ranges import byte_range
from otcondense.datasets.columns import (
    check_column,
    check_rows,
    column_values,
    is_bytes,
    label_names,
    row_id,
)
from otcondense.datasets.files import SourceFile, container_files, list_tree
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.listing import Listing
from otcondense.datasets.records import SourceConfig, is_remote
from otcondense.errors import InputError
from otcondense.reading import LIST_BYTES, parse_json

INFO = "dataset_info.json"
DAMAGED = (pa.ArrowException, OSError, ValueError, struct.error, RecursionError)
"""Errors of a damaged stream."""


def scan_arrow(source: SourceConfig) -> Listing:
    """Return the images of the data set at `source.path`.

    An id is FILE/ROW unless `source.id_column` is set. A remote file is read whole to list it, a
    local one is mapped.

    Raises: InputError if this is no such data set or one of several splits, for a damaged file, a
        missing column, images that are stored outside of it, and wrong labels or ids.
    """
    names = _class_names(source)
    files, others = container_files(source, ".arrow")
    rows: list[LabelledRow] = []
    for file in files:
        rows += _rows(source, file)
    ignored = [name for name in others if not name.endswith(".json")]
    return build_listing(source, rows, names, ignored)


def _class_names(source: SourceConfig) -> tuple[str, ...] | None:
    _, files = list_tree(source)
    described = {file.name: file for file in files}
    if INFO not in described:
        raise InputError(
            f"{source.path} must be a data set that save_to_disk wrote, with a {INFO}; "
            f"{_found_splits(list(described))}"
        )
    path = described[INFO].path
    info = parse_json(read_file(path, LIST_BYTES), path)
    if not isinstance(info, dict):
        raise InputError(f"{path} must hold an object, found {type(info).__name__}; restore it")
    return label_names(info, source.label_column, path)


def _found_splits(names: list[str]) -> str:
    """Return the splits below a folder that is no data set itself, for a message."""
    infos = [name for name in names if name.endswith(f"/{INFO}") and name.count("/") == 1]
    if not infos:
        return "found none there"
    splits = sorted(name.split("/")[0] for name in infos)
    return f"found the splits {', '.join(splits)}: add one of them to source.path"


def _rows(source: SourceConfig, file: SourceFile) -> Iterator[LabelledRow]:
    """Yield the rows of one file."""
    buffer = _whole_file(file.path)
    batches = _batches(file.path, buffer)
    check_rows(file.path, sum(len(batch) for batch in batches), buffer.size)
    first = 0
    for batch in batches:
        yield from _batch_rows(source, file, batch, buffer, first)
        first += len(batch)


def _batches(path: str, buffer: pa.Buffer) -> list[pa.RecordBatch]:
    """Return the batches of a file, whose values stay where they are."""
    try:
        if any(True for _ in compressed_messages(buffer)):
            raise InputError(
                f"{path} must not be compressed, as save_to_disk writes it; "
                "write the data set again"
            )
        reader = pa.ipc.open_stream(buffer)
        _ = reader.schema.names  # fails for names that are no text
        return list(reader)
    except InputError:
        raise
    except DAMAGED as error:
        raise InputError(
            f"{path} is not a readable Arrow file ({error}); restore the data set"
        ) from error


def _batch_rows(
    source: SourceConfig, file: SourceFile, batch: pa.RecordBatch, buffer: pa.Buffer, first: int
) -> Iterator[LabelledRow]:
    """Yield the rows of one batch; `first` is the number of its first row in the file."""
    check_column(source, file.path, batch.schema, "label_column")
    labels = _plain(file, batch, source.label_column)
    values = _image_bytes(source, file, batch)
    ids = _ids(source, file, batch, first)
    ranges = _ranges(values, buffer)
    for image_id, label, (offset, size) in zip(ids, labels, ranges, strict=True):
        location = byte_range(file.path, offset, size)
        yield LabelledRow(image_id, label, location, size, file.mtime_ns)


def _plain(file: SourceFile, batch: pa.RecordBatch, name: str) -> list[Any]:
    return column_values(file.path, name, pa.chunked_array([batch.column(name)]))


def _whole_file(path: str) -> pa.Buffer:
    with open_file(path) as file:
        if is_remote(path):
            return pa.py_buffer(file.read())
    return pa.memory_map(path).read_buffer()


def _image_bytes(source: SourceConfig, file: SourceFile, batch: pa.RecordBatch) -> Any:
    """Return the column of the images' bytes."""
    kind = check_column(source, file.path, batch.schema, "image_column")
    column = batch.column(source.image_column)
    try:
        column.validate(full=True)
    except (pa.ArrowException, ValueError) as error:
        raise InputError(
            f"the images of {file.path} are damaged ({error}); restore the data set"
        ) from error
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        if column.offset:
            raise InputError(
                f"{file.path} has sliced batches, which save_to_disk does not write; "
                "write the data set again"
            )
        column = column.field("bytes")
    if not is_bytes(column.type) or column.null_count:
        raise InputError(
            f"column {source.image_column!r} of {file.path} must hold the images' bytes, "
            f"found {kind} with {column.null_count} rows without bytes; "
            "write the data set again with the images embedded"
        )
    return column


def _ids(source: SourceConfig, file: SourceFile, batch: pa.RecordBatch, first: int) -> list[str]:
    if source.id_column is None:
        return [row_id(file, first + row) for row in range(len(batch))]
    check_column(source, file.path, batch.schema, "id_column")
    return [str(value) for value in _plain(file, batch, source.id_column)]


def _ranges(values: Any, buffer: pa.Buffer) -> list[tuple[int, int]]:
    """Return offset and size in the file of each value of a binary column."""
    if not len(values):
        return []
    _, offsets, data = values.buffers()
    width = np.dtype(np.int64 if pa.types.is_large_binary(values.type) else np.int32)
    all_bounds = np.frombuffer(offsets, width, count=values.offset + len(values) + 1)
    bounds = all_bounds[values.offset : values.offset + len(values) + 1].astype(np.int64)

    start = 0 if data is None else data.address - buffer.address
    assert 0 <= start <= buffer.size, "the values of a mapped file are in it"
    return [(int(start + low), int(high - low)) for low, high in pairwise(bounds)]
