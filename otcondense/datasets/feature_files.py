"""Features that were computed elsewhere: Parquet files, or features.npy with labels.npy.

They may describe images or anything else; there are no images to look at.
"""

import numpy as np
import pyarrow as pa
from jaxtyping import Float32, Int64

from otcondense import npy
from otcondense.datasets.building import build_listing
from otcondense.datasets.columns import (
    check_column,
    encoded_labels,
    huggingface_names,
    row_ids,
    text_ids,
)
from otcondense.datasets.files import SourceFile, container_files, list_tree
from otcondense.datasets.listing import ListedFile, Listing
from otcondense.datasets.named_files import named_files
from otcondense.datasets.npy_files import header_of, loaded, npy_rows
from otcondense.datasets.parquet_features import parquet_rows
from otcondense.datasets.parquet_files import parquet_ids
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.parts import TEXT, Labels, Part, sorted_texts, spread, texts
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError

FEATURES_FILE = "features.npy"
LABELS_FILE = "labels.npy"
IDS_FILE = "ids.npy"
NUMBER_KINDS = frozenset("biuf")
"""Kinds of dtypes that are numbers; other arrays hold texts or bytes."""
PART = 2**16
"""Texts that become Python values together."""


def refuse_to_read(_row: str, path: str) -> bytes:
    """Refuse to read an image.

    Raises: InputError always.
    """
    raise InputError(
        f"{path} holds features and no images; views of images and training need a source of images"
    )


def scan_features(source: SourceConfig) -> Listing:
    """Return the rows of `source.path`.

    It holds Parquet files, or features.npy [n, d], labels.npy [n] and optional ids.npy [n].

    Raises: InputError for a damaged file, missing columns, counts that differ, and wrong labels or
        ids.
    """
    arrays = _npy_files(source)
    if arrays:
        return build_listing(source, [_npy_part(source, arrays)], None, [])

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
            parts.append(_parquet_part(source, file, opened))
    ignored = sorted_texts([others.column, texts(empty)])
    return build_listing(source, parts, names, ignored)


def read_features(
    source: SourceConfig, listing: Listing, rows: Int64[np.ndarray, " n"]
) -> Float32[np.ndarray, "n d"]:
    """Return the features of some rows of a listing, in the order given.

    Raises: InputError if they are not numbers in rows of one length.
    """
    assert len(rows), "a class has rows"
    files, places = listing.numbers("file")[rows], listing.numbers("position")[rows]
    features: np.ndarray | None = None
    for number in np.unique(files):
        path = listing.files[number].path
        wanted = np.flatnonzero(files == number)
        part = _read_rows(source, path, places[wanted])
        if features is None:
            features = np.empty((len(rows), part.shape[1]), dtype=np.float32)
        if part.shape[1] != features.shape[1]:
            raise InputError(
                f"features of {source.path} must all have one length, "
                f"found {features.shape[1]} and, in {path}, {part.shape[1]}"
            )
        features[wanted] = part
    assert features is not None
    return features


def _npy_files(source: SourceConfig) -> dict[str, SourceFile]:
    if source.split is not None or named_files(source) is not None:
        return {}
    found = list_tree(source).top_files((FEATURES_FILE, LABELS_FILE, IDS_FILE))
    if found and not {FEATURES_FILE, LABELS_FILE} <= set(found):
        raise InputError(
            f"{source.path} must hold {FEATURES_FILE} and {LABELS_FILE}, "
            f"found {', '.join(sorted(found))} alone"
        )
    return found


def _npy_part(source: SourceConfig, files: dict[str, SourceFile]) -> Part:
    file = files[FEATURES_FILE]
    features = header_of(file.path)
    with loaded(files[LABELS_FILE].path) as labels:
        _check_arrays(source, features, labels)
        ids = _npy_ids(files, features.shape[0])
        if len(ids) != len(labels):
            raise InputError(
                f"{source.path} must hold one id for each label, found {len(ids)} for {len(labels)}"
            )
        size = features.dtype.itemsize * features.shape[1]
        column = _column(labels)
        encoded = encoded_labels(files[LABELS_FILE].path, "labels", column)
    changed = max(each.mtime_ns for each in files.values())
    return _rows(file, ids, encoded, size, changed)


def _rows(
    file: SourceFile, ids: pa.LargeStringArray, labels: Labels, size: int, changed: int
) -> Part:
    """Return rows of features, which have no images."""
    count = len(labels)
    place = ListedFile(file.path, "features")
    return Part(ids, labels, spread(size, count), spread(changed, count), place, np.arange(count))


def _column(array: np.ndarray) -> pa.ChunkedArray:
    """Return numbers or texts of an array [n] as a column."""
    if array.dtype.kind in NUMBER_KINDS:
        return pa.chunked_array([pa.array(array.astype(array.dtype.newbyteorder("=")))])
    starts = range(0, max(1, len(array)), PART)
    kind = TEXT if array.dtype.kind == "U" else pa.large_binary()
    parts = [npy.plain_values(array[start : start + PART]) for start in starts]
    return pa.chunked_array([pa.array(part, kind) for part in parts])


def _check_arrays(source: SourceConfig, features: npy.Header, labels: np.ndarray) -> None:
    if len(features.shape) != 2 or labels.shape != features.shape[:1] or features.dtype.kind != "f":
        raise InputError(
            f"{source.path} must hold features [n, d] of floating-point numbers and labels [n], "
            f"found {features.dtype} {list(features.shape)} and {list(labels.shape)}"
        )


def _npy_ids(files: dict[str, SourceFile], count: int) -> pa.LargeStringArray:
    if IDS_FILE not in files:
        return row_ids(files[FEATURES_FILE], count)
    path = files[IDS_FILE].path
    with loaded(path) as stored:
        return text_ids(path, "ids", _column(stored))


def _parquet_part(source: SourceConfig, file: SourceFile, opened: ParquetSource) -> Part:
    check_column(source, file.path, opened.schema, "features_column")
    check_column(source, file.path, opened.schema, "label_column")
    labels = encoded_labels(file.path, source.label_column, opened.column(source.label_column))
    ids = parquet_ids(source, file, opened, len(labels))
    return _rows(file, ids, labels, file.size_bytes // max(1, len(labels)), file.mtime_ns)


def _read_rows(source: SourceConfig, path: str, rows: np.ndarray) -> np.ndarray:
    """Return the features of some rows of one file, in the order of `rows`."""
    if not path.endswith(".npy"):
        return parquet_rows(source, path, rows)
    return npy_rows(path, rows)
