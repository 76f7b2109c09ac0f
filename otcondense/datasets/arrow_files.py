"""A data set that Hugging Face's `save_to_disk` wrote, read with Arrow alone.

Its files are not compressed, so every image is a range of bytes: a value has the same place in the
file on the disk as in the mapped file in memory.
"""

import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from otcondense.datasets.access import open_file, read_file
from otcondense.datasets.arrow_messages import compressed_messages
from otcondense.datasets.building import build_listing
from otcondense.datasets.captions import with_column
from otcondense.datasets.columns import (
    check_column,
    check_rows,
    is_bytes,
    is_text,
    label_names,
    labels_of,
    plain_type,
    row_ids,
    text_column,
    text_ids,
)
from otcondense.datasets.files import SourceFile, container_files, list_tree
from otcondense.datasets.listing import ListedFile, Listing
from otcondense.datasets.missing_bytes import with_paths
from otcondense.datasets.parts import Part, spread
from otcondense.datasets.records import SourceConfig, is_remote, resolved
from otcondense.datasets.trees import Tree
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
    parts: list[Part] = []
    ignored = [name for name in others if not name.endswith(".json")]
    root = source.path if is_remote(source.path) else str(resolved(Path(source.path)))
    for file in files:
        found = _parts(source, root, file)
        parts += found
        ignored += [] if found else [file.name]
    return build_listing(source, parts, names, sorted(ignored), root)


def _class_names(source: SourceConfig) -> tuple[str, ...] | None:
    tree = list_tree(source)
    described = tree.top_files([INFO])
    if INFO not in described:
        raise InputError(
            f"{source.path} must be a data set that save_to_disk wrote, with a {INFO}; "
            f"{_found_splits(tree)}"
        )
    path = described[INFO].path
    info = parse_json(read_file(path, LIST_BYTES), path)
    if not isinstance(info, dict):
        raise InputError(f"{path} must hold an object, found {type(info).__name__}; restore it")
    return label_names(info, source.label_column, path)


def _found_splits(tree: Tree) -> str:
    """Return the splits below a folder that is no data set itself, for a message."""
    parents = (file.name.rpartition("/")[0] for file in tree.named([INFO]))
    splits = sorted(parent for parent in parents if parent and "/" not in parent)
    if not splits:
        return "found none there"
    return f"found the splits {', '.join(splits)}: set source.split to one of them"


def _parts(source: SourceConfig, root: str, file: SourceFile) -> list[Part]:
    """Return the rows of one file, a part for each batch that has some."""
    buffer = _whole_file(file.path)
    batches = _batches(file.path, buffer)
    total = sum(len(batch) for batch in batches)
    check_rows(file.path, total, buffer.size)
    ids = None if source.id_column is not None else row_ids(file, total)
    parts = []
    first = 0
    for batch in batches:
        if not len(batch):
            continue
        of_batch = _stored_ids(source, file, batch) if ids is None else ids[first:][: len(batch)]
        part, values = _part(source, file, batch, buffer, of_batch)
        is_missing = values.is_null().to_numpy(zero_copy_only=False)
        paths = _paths(source, file, batch, np.flatnonzero(is_missing))
        parts += with_paths(source, root, part, is_missing, paths)
        first += len(batch)
    return parts


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


def _part(
    source: SourceConfig,
    file: SourceFile,
    batch: pa.RecordBatch,
    buffer: pa.Buffer,
    ids: pa.LargeStringArray,
) -> tuple[Part, pa.Array]:
    """Return the rows of one batch, and the column of their bytes."""
    read = partial(_column, batch)
    labels = labels_of(source, file.path, batch.schema, len(batch), read)
    values = _image_bytes(source, file, batch)
    starts, sizes = _ranges(values, buffer)
    changed = spread(file.mtime_ns, len(batch))
    part = Part(ids, labels, sizes, changed, ListedFile(file.path, "bytes"), starts)
    return with_column(source, file, batch.schema, read, part), values


def _paths(
    source: SourceConfig, file: SourceFile, batch: pa.RecordBatch, rows: Int64[np.ndarray, " m"]
) -> list[str | None]:
    """Return the paths of the rows without bytes."""
    column = batch.column(source.image_column)
    is_struct = pa.types.is_struct(column.type)
    place = column.type.get_field_index("path") if is_struct else -1
    if not len(rows) or place < 0 or not is_text(plain_type(column.type.field(place).type)):
        return [None] * len(rows)
    name = f"{source.image_column}.path"
    paths = text_column(file.path, name, pa.chunked_array([column.flatten()[place]]))
    return list(paths.take(pa.array(rows)).to_pylist())


def _column(batch: pa.RecordBatch, name: str) -> pa.ChunkedArray:
    return pa.chunked_array([batch.column(name)])


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
        column = column.flatten()[kind.get_field_index("bytes")]  # a null struct has no bytes
    if pa.types.is_null(column.type):
        return column.cast(pa.binary())
    if not is_bytes(column.type):
        raise InputError(
            f"column {source.image_column!r} of {file.path} must hold the images' bytes, "
            f"found {kind}; write the data set again with the images embedded"
        )
    return column


def _stored_ids(
    source: SourceConfig, file: SourceFile, batch: pa.RecordBatch
) -> pa.LargeStringArray:
    assert source.id_column is not None
    check_column(source, file.path, batch.schema, "id_column")
    return text_ids(file.path, source.id_column, _column(batch, source.id_column))


def _ranges(
    values: pa.Array, buffer: pa.Buffer
) -> tuple[Int64[np.ndarray, " n"], Int64[np.ndarray, " n"]]:
    """Return offsets and sizes in the file of the values of a binary column."""
    if values.null_count == len(values):
        return np.zeros(len(values), np.int64), np.zeros(len(values), np.int64)
    _, offsets, data = values.buffers()
    width = np.dtype(np.int64 if pa.types.is_large_binary(values.type) else np.int32)
    all_bounds = np.frombuffer(offsets, width, count=values.offset + len(values) + 1)
    bounds = all_bounds[values.offset :].astype(np.int64)

    start = 0 if data is None else data.address - buffer.address
    assert 0 <= start <= buffer.size, "the values of a mapped file are in it"
    return start + bounds[:-1], np.diff(bounds)
