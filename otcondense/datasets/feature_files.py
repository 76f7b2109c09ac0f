"""Features that were computed elsewhere: Parquet files, or features.npy with labels.npy.

They may describe images or anything else; there are no images to look at.
"""

import numpy as np
from jaxtyping import Float32, Int64

from otcondense.datasets.building import build_listing
from otcondense.datasets.captions import with_column
from otcondense.datasets.columns import (
    check_column,
    huggingface_names,
    labels_of,
)
from otcondense.datasets.feature_arrays import feature_rows, npy_files, npy_part
from otcondense.datasets.files import SourceFile, container_files
from otcondense.datasets.listing import Listing
from otcondense.datasets.npy_files import npy_rows
from otcondense.datasets.parquet_features import parquet_rows
from otcondense.datasets.parquet_files import parquet_ids
from otcondense.datasets.parquet_open import ParquetSource, open_parquet
from otcondense.datasets.parts import Part, sorted_texts, texts
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError


def refuse_to_read(_row: str, path: str) -> bytes:
    """Refuse to read an image.

    Raises: InputError always.
    """
    raise InputError(
        f"{path} holds features and no images; views of images and training need a source of images"
    )


def scan_features(source: SourceConfig) -> Listing:
    """Return the rows of `source.path`.

    It holds Parquet files, or features.npy [n, d], labels.npy [n] (none if `source.label_column` is
    null), and optional ids.npy [n]. With `source.captions`, NAME.npy [n] holds the captions.

    Raises: InputError for a damaged file, missing columns, counts that differ, and wrong labels or
        ids.
    """
    arrays = npy_files(source)
    if arrays:
        return build_listing(source, [npy_part(source, arrays)], None, [])

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


def _parquet_part(source: SourceConfig, file: SourceFile, opened: ParquetSource) -> Part:
    check_column(source, file.path, opened.schema, "features_column")
    labels = labels_of(source, file.path, opened.schema, opened.rows, opened.column)
    ids = parquet_ids(source, file, opened, len(labels))
    size = file.size_bytes // max(1, len(labels))
    part = feature_rows(file, ids, labels, size, file.mtime_ns)
    return with_column(source, file, opened.schema, opened.column, part)


def _read_rows(source: SourceConfig, path: str, rows: np.ndarray) -> np.ndarray:
    """Return the features of some rows of one file, in the order of `rows`."""
    if not path.endswith(".npy"):
        return parquet_rows(source, path, rows)
    return npy_rows(path, rows)
