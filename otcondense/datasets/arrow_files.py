"""A data set that Hugging Face's `save_to_disk` wrote, read with Arrow alone.

Its files are not compressed, so every image is a range of bytes: a value has the same place in the
file on the disk as in the mapped file in memory.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa

from otcondense.datasets.byte_ranges import byte_range
from otcondense.datasets.files import SourceFile, container_files, list_tree
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.parquet_files import check_column, is_bytes, label_names, row_id
from otcondense.datasets.records import Listing, SourceConfig, is_remote
from otcondense.errors import InputError

INFO = "dataset_info.json"


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
    with fsspec.open(path, "rb") as file:
        try:
            features = json.load(file).get("features") or {}
        except (ValueError, AttributeError) as error:
            raise InputError(f"{path} is not readable ({error}); restore the data set") from error
    return label_names(features, source.label_column)


def _found_splits(names: list[str]) -> str:
    """Return the splits below a folder that is no data set itself, for a message."""
    infos = [name for name in names if name.endswith(f"/{INFO}") and name.count("/") == 1]
    if not infos:
        return "found none there"
    splits = sorted(name.split("/")[0] for name in infos)
    return f"found the splits {', '.join(splits)}: add one of them to source.path"


def _rows(source: SourceConfig, file: SourceFile) -> Iterator[LabelledRow]:
    """Yield the rows of one file."""
    try:
        buffer = _whole_file(file.path)
        batches = list(pa.ipc.open_stream(buffer))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{file.path} is not a readable Arrow file ({error}); restore the data set"
        ) from error

    first = 0
    for batch in batches:
        yield from _batch_rows(source, file, batch, buffer, first)
        first += len(batch)


def _batch_rows(
    source: SourceConfig, file: SourceFile, batch: pa.RecordBatch, buffer: pa.Buffer, first: int
) -> Iterator[LabelledRow]:
    """Yield the rows of one batch; `first` is the number of its first row in the file."""
    values = _image_bytes(source, file, batch)
    check_column(source, file.path, batch.schema, "label_column")
    labels = batch.column(source.label_column).to_pylist()
    ids = _ids(source, file, batch, first)
    ranges = _ranges(values, buffer)
    for image_id, label, (offset, size) in zip(ids, labels, ranges, strict=True):
        location = byte_range(file.path, offset, size)
        yield LabelledRow(image_id, label, location, size, file.mtime_ns)


def _whole_file(path: str) -> pa.Buffer:
    if not is_remote(path):
        return pa.memory_map(path).read_buffer()
    with fsspec.open(path, "rb") as file:
        return pa.py_buffer(file.read())


def _image_bytes(source: SourceConfig, file: SourceFile, batch: pa.RecordBatch) -> Any:
    """Return the column of the images' bytes."""
    kind = check_column(source, file.path, batch.schema, "image_column")
    column = batch.column(source.image_column)
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
    return [str(value) for value in batch.column(source.id_column).to_pylist()]


def _ranges(values: Any, buffer: pa.Buffer) -> list[tuple[int, int]]:
    """Return offset and size in the file of each value of a binary column."""
    _, offsets, data = values.buffers()
    width = np.dtype(np.int64 if pa.types.is_large_binary(values.type) else np.int32)
    all_bounds = np.frombuffer(offsets, width)
    bounds = all_bounds[values.offset : values.offset + len(values) + 1].astype(np.int64)

    start = 0 if data is None else data.address - buffer.address
    assert 0 <= start <= buffer.size, "the file is compressed"
    return [(int(start + low), int(high - low)) for low, high in pairwise(bounds)]
