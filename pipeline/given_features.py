"""Import features that were computed elsewhere: no images, no encoder, no cluster."""

from collections.abc import Iterator

import numpy as np

from otcondense.datasets import (
    ImageRecord,
    SourceConfig,
    by_class,
    read_features,
    scan_images,
)
from otcondense.errors import InputError
from otcondense.store import (
    ClassFeatures,
    Store,
    class_file,
    read_fingerprint,
    sha256_bytes,
    write_class_features,
)
from pipeline.extract import ExtractionResult, OnProgress
from pipeline.fingerprints import rows_fingerprint

GROUP_BYTES = 2**31
"""Classes of about this size are read together: the rows of one class may be in all files."""


def import_features(
    store_root: str,
    directory: str,
    source: SourceConfig,
    stage_fingerprint: str,
    on_progress: OnProgress = lambda _done, _total: None,
) -> ExtractionResult:
    """Write one feature file per class of a source of features.

    A class that is already finished with the same inputs is skipped.

    Raises: InputError if features are not finite numbers in rows of one length.
    """
    store = Store(store_root)
    listing = scan_images(source)
    classes = by_class(listing.records)
    fingerprints: dict[str, str] = {}
    todo: list[list[ImageRecord]] = []
    for name, rows in classes.items():
        fingerprints[name] = rows_fingerprint(rows, stage_fingerprint)
        if read_fingerprint(store, class_file(directory, name)) != fingerprints[name]:
            todo.append(rows)

    total = len(listing.records)
    done = total - sum(map(len, todo))
    on_progress(done, total)

    length: int | None = None
    for group in _groups(todo):
        features = read_features(source, [record for rows in group for record in rows])
        length = length or features.shape[1]
        if features.shape[1] != length:
            raise InputError(
                f"features of {source.path} must all have one length, "
                f"found {length} and {features.shape[1]}"
            )
        ends = np.cumsum([len(rows) for rows in group])
        for rows, part in zip(group, np.split(features, ends[:-1]), strict=True):
            fingerprint = fingerprints[rows[0].class_name]
            write_class_features(
                store, directory, _class_features(rows, part), fingerprint=fingerprint
            )
            done += len(rows)
            on_progress(done, total)
    return ExtractionResult(
        num_images=total,
        num_quarantined=0,
        num_ignored=len(listing.ignored),
        classes_done=len(todo),
        classes_skipped=len(classes) - len(todo),
    )


def _groups(classes: list[list[ImageRecord]]) -> Iterator[list[list[ImageRecord]]]:
    """Yield classes in groups of a bounded size, at least one in each."""
    group: list[list[ImageRecord]] = []
    size = 0
    for rows in classes:
        more = sum(record.size_bytes for record in rows)
        if group and size + more > GROUP_BYTES:
            yield group
            group = []
            size = 0
        group.append(rows)
        size += more
    if group:
        yield group


def _class_features(records: list[ImageRecord], features: np.ndarray) -> ClassFeatures:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(
            "features must be finite, found NaN or infinite values for "
            f"{records[bad[0]].image_id} and {len(bad) - 1} more"
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
