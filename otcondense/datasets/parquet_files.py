"""One Parquet file or a folder of them: a row per image, with its bytes or its path, and a label.

Only labels and ids are read to list a source; the bytes of an image are read when it is decoded.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64

from otcondense.datasets.building import build_listing
from otcondense.datasets.columns import (
    check_column,
    encoded_labels,
    huggingface_names,
    is_bytes,
    is_text,
    plain_type,
    row_ids,
    text_ids,
)
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.listing import ROW_BITS, ListedFile, Listing
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.parts import Part, spread
from otcondense.datasets.paths_below import sizes_and_times
from otcondense.datasets.records import SourceConfig, is_remote
from otcondense.errors import InputError


def scan_parquet(source: SourceConfig) -> Listing:
    """Return the images of the Parquet files at `source.path`.

    An id is FILE/ROW unless `source.id_column` is set. Class names come from the Hugging Face
    metadata of the files if they have any.

    Raises: InputError for a damaged file, a missing column, one of the wrong type, and wrong labels
        or ids.
    """
    files, ignored = container_files(source, ".parquet")
    parts: list[Part] = []
    names: tuple[str, ...] | None = None
    for file in files:
        with open_parquet(file.path) as opened:
            metadata = opened.schema.metadata
            names = names or huggingface_names(metadata, source.label_column, file.path)
            parts.append(_part(source, file, opened))
    return build_listing(source, parts, names, ignored, _root(source))


def _root(source: SourceConfig) -> str:
    """Return the folder below which the paths in a file lie."""
    if is_remote(source.path) or Path(source.path).is_dir():
        return source.path.rstrip("/")
    return str(Path(source.path).parent)


def _part(source: SourceConfig, file: SourceFile, opened: ParquetSource) -> Part:
    kind = check_column(source, file.path, opened.schema, "image_column")
    check_column(source, file.path, opened.schema, "label_column")
    if is_text(plain_type(kind)):
        return _paths(source, file, opened)
    return _cells(source, file, opened, _leaf(source, file, kind))


def _leaf(source: SourceConfig, file: SourceFile, kind: pa.DataType) -> str:
    """Return the name of the column of bytes: the image column, or the field `bytes` in it."""
    name = source.image_column
    if is_bytes(plain_type(kind)):
        return name
    if pa.types.is_struct(kind):
        fields = [kind.field(number) for number in range(kind.num_fields)]
        if any(field.name == "bytes" and is_bytes(plain_type(field.type)) for field in fields):
            return f"{name}.bytes"
    raise InputError(
        f"column {name!r} of {file.path} must hold bytes, a struct with bytes, or paths as text, "
        f"found {kind}"
    )


def _cells(source: SourceConfig, file: SourceFile, opened: ParquetSource, leaf: str) -> Part:
    """Return the rows of a file with a column of bytes."""
    labels = encoded_labels(file.path, source.label_column, opened.column(source.label_column))
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
    labels = encoded_labels(file.path, source.label_column, opened.column(source.label_column))
    column = opened.column(source.image_column)
    names = text_ids(file.path, source.image_column, pc.fill_null(column, ""))
    root = _root(source)
    sizes, times = sizes_and_times(source, root, names)
    ids, path = names, None
    if source.id_column is not None:
        ids = parquet_ids(source, file, opened, len(labels))
        path = pc.binary_join_element_wise(root, names, "/")
    return Part(ids, labels, sizes, times, path=path)


def parquet_ids(
    source: SourceConfig, file: SourceFile, opened: ParquetSource, count: int
) -> pa.LargeStringArray:
    """Return the ids of a file's rows, from the column of ids if one is set."""
    if source.id_column is None:
        return row_ids(file, count)
    check_column(source, file.path, opened.schema, "id_column")
    return text_ids(file.path, source.id_column, opened.column(source.id_column))
