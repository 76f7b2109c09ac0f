"""Features that were computed elsewhere, brought into the feature store: no images, no encoder, no cluster."""

from collections.abc import Iterator

import numpy as np

from otcondense.datasets import (
    ImageRecord,
    SourceConfig,
    by_class,
    read_features,
    records_identity,
    scan_images,
)
from otcondense.errors import InputError
from otcondense.store import (
    FEATURES_SCHEMA_VERSION,
    ClassFeatures,
    Store,
    class_file,
    read_fingerprint,
    sha256_bytes,
    write_class_features,
)
from otcondense.store import fingerprint as fingerprint_of
from pipeline.extract import ExtractionResult, OnProgress

GROUP_BYTES = 2**31
"""Classes are read together up to about this size, since rows of one class may be spread over all files."""


def import_features(
    store_root: str,
    directory: str,
    source: SourceConfig,
    fingerprint: str,
    on_progress: OnProgress = lambda _done, _total: None,
) -> ExtractionResult:
    """Write one feature file per class of a source of features; a class that is there with the same inputs is skipped.

    Raises: InputError if features are not finite numbers in rows of one length.
    """
    store, listing = Store(store_root), scan_images(source)
    classes = by_class(listing.records)
    marks = {name: rows_fingerprint(rows, fingerprint) for name, rows in classes.items()}
    todo = [
        rows
        for name, rows in classes.items()
        if read_fingerprint(store, class_file(directory, name)) != marks[name]
    ]
    total, done = len(listing.records), len(listing.records) - sum(map(len, todo))
    on_progress(done, total)
    width: int | None = None
    for group in _groups(todo):
        features = read_features(source, [record for rows in group for record in rows])
        width = width or features.shape[1]
        if features.shape[1] != width:
            raise InputError(
                f"features of {source.path} must all have one length, found {width} and {features.shape[1]}"
            )
        for rows, part in zip(
            group, np.split(features, np.cumsum([len(rows) for rows in group])[:-1]), strict=True
        ):
            write_class_features(
                store, directory, _class_features(rows, part), fingerprint=marks[rows[0].class_name]
            )
            done += len(rows)
            on_progress(done, total)
    return ExtractionResult(total, 0, len(listing.ignored), len(todo), len(classes) - len(todo))


def rows_fingerprint(rows: list[ImageRecord], fingerprint: str) -> str:
    """Return the fingerprint of one class of given features; `fingerprint` stands for all settings of the stage."""
    return fingerprint_of(
        [fingerprint, FEATURES_SCHEMA_VERSION, rows[0].class_index, records_identity(rows)]
    )


def _groups(classes: list[list[ImageRecord]]) -> Iterator[list[list[ImageRecord]]]:
    """Yield classes in groups of a bounded size, at least one in each."""
    group: list[list[ImageRecord]] = []
    size = 0
    for rows in classes:
        more = sum(record.size_bytes for record in rows)
        if group and size + more > GROUP_BYTES:
            yield group
            group, size = [], 0
        group.append(rows)
        size += more
    if group:
        yield group


def _class_features(records: list[ImageRecord], features: np.ndarray) -> ClassFeatures:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(
            f"features must be finite, found NaN or infinite values for {records[bad[0]].image_id} and {len(bad) - 1} more"
        )
    unknown = np.zeros(len(records), dtype=np.int32)
    return ClassFeatures(
        class_name=records[0].class_name,
        class_index=records[0].class_index,
        image_ids=[record.image_id for record in records],
        features=features,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=unknown,
        height=unknown,
        sha256=[sha256_bytes(row.tobytes()) for row in features],
    )
