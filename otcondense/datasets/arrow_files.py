"""A data set that Hugging Face's `save_to_disk` wrote, read with Arrow alone.

Its files are uncompressed, so every image is a range of bytes: where a value lies in memory, relative to the mapped file,
is where it lies on the disk.
"""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa

from otcondense.datasets.files import SourceFile, container_files, list_tree
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.locations import byte_range
from otcondense.datasets.parquet_files import check_column, is_bytes, label_names, row_id
from otcondense.datasets.records import Listing, SourceConfig, is_remote
from otcondense.errors import InputError

INFO = "dataset_info.json"


def scan_arrow(source: SourceConfig) -> Listing:
    """Return the images of the data set at `source.path`; an id is FILE/ROW unless `source.id_column` is set.

    A remote file is read whole to list it, a local one is mapped.

    Raises: InputError if this is no such data set or one of several splits, for a damaged file, a missing column, images that are
        stored outside of it, and whatever is wrong with labels and ids.
    """
    names = _class_names(source)
    files, ignored = container_files(source, ".arrow")
    rows: list[LabelledRow] = []
    for file in files:
        rows += _rows(source, file)
    return build_listing(
        source, rows, names, [name for name in ignored if not name.endswith(".json")]
    )


def _class_names(source: SourceConfig) -> tuple[str, ...] | None:
    _, files = list_tree(source)
    described = {file.name: file for file in files}
    if INFO not in described:
        splits = sorted(
            name.split("/")[0]
            for name in described
            if name.endswith(f"/{INFO}") and name.count("/") == 1
        )
        found = (
            f"found the splits {', '.join(splits)}: add one of them to source.path"
            if splits
            else "found none there"
        )
        raise InputError(
            f"{source.path} must be a data set that save_to_disk wrote, with a {INFO}; {found}"
        )
    with fsspec.open(described[INFO].path, "rb") as file:
        try:
            features = json.load(file).get("features") or {}
        except (ValueError, AttributeError) as error:
            raise InputError(
                f"{described[INFO].path} is not readable ({error}); restore the data set"
            ) from error
    return label_names(features, source.label_column)


def _rows(source: SourceConfig, file: SourceFile) -> Iterator[LabelledRow]:
    """Yield the rows of one file."""
    try:
        buffer = _whole_file(file.path)
        batches = list(pa.ipc.open_stream(buffer))
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{file.path} is not a readable Arrow file ({error}); restore the data set"
        ) from error
    position = 0
    for batch in batches:
        values = _image_bytes(source, file, batch)
        check_column(source, file.path, batch.schema, "label_column")
        labels = batch.column(source.label_column).to_pylist()
        ids = _ids(source, file, batch, position)
        for image_id, label, (offset, size) in zip(
            ids, labels, _ranges(values, buffer), strict=True
        ):
            yield LabelledRow(
                image_id, label, byte_range(file.path, offset, size), size, file.mtime_ns
            )
        position += len(batch)


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
                f"{file.path} has sliced batches, which save_to_disk does not write; write the data set again"
            )
        column = column.field("bytes")
    if not is_bytes(column.type) or column.null_count:
        raise InputError(
            f"column {source.image_column!r} of {file.path} must hold the images' bytes, found {kind} with {column.null_count} rows "
            "without bytes; write the data set again with the images embedded"
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
    bounds = np.frombuffer(offsets, width)[values.offset : values.offset + len(values) + 1].astype(
        np.int64
    )
    start = (data.address if data is not None else buffer.address) - buffer.address
    assert 0 <= start <= buffer.size, "the file is compressed"
    return [(int(start + low), int(high - low)) for low, high in pairwise(bounds)]
