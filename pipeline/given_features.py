"""Import features that were computed elsewhere: no images, no encoder, no cluster."""

from collections.abc import Iterator

import numpy as np

from otcondense.datasets import Listing, SourceConfig, read_features, source_listing
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
    listing = source_listing(store, source)
    fingerprints = {
        name: rows_fingerprint(listing, name, stage_fingerprint) for name in listing.names
    }
    todo = [
        name
        for name, expected in fingerprints.items()
        if read_fingerprint(store, class_file(directory, name)) != expected
    ]
    total = len(listing)
    done = total - sum(listing.sizes[name] for name in todo)
    on_progress(done, total)

    length: int | None = None
    for group in _groups(listing, todo):
        rows = [np.arange(len(listing))[_slice(listing, name)] for name in group]
        features = read_features(source, listing, np.concatenate(rows))
        length = length or features.shape[1]
        if features.shape[1] != length:
            raise InputError(
                f"features of {source.path} must all have one length, "
                f"found {length} and {features.shape[1]}"
            )
        ends = np.cumsum([len(each) for each in rows])
        for name, part in zip(group, np.split(features, ends[:-1]), strict=True):
            made = _class_features(listing, name, part)
            write_class_features(store, directory, made, fingerprint=fingerprints[name])
            done += len(part)
            on_progress(done, total)
    return ExtractionResult(
        num_images=total,
        num_quarantined=0,
        num_ignored=len(listing.ignored),
        classes_done=len(todo),
        classes_skipped=len(listing.names) - len(todo),
    )


def _groups(listing: Listing, names: list[str]) -> Iterator[list[str]]:
    """Yield classes in groups of a bounded size, at least one in each."""
    sizes = listing.numbers("size_bytes")
    group: list[str] = []
    size = 0
    for name in names:
        more = int(sizes[_slice(listing, name)].sum())
        if group and size + more > GROUP_BYTES:
            yield group
            group = []
            size = 0
        group.append(name)
        size += more
    if group:
        yield group


def _slice(listing: Listing, name: str) -> slice:
    rows = listing.rows_of(name)
    return slice(rows.start, rows.stop)


def _class_features(listing: Listing, name: str, features: np.ndarray) -> ClassFeatures:
    image_ids = listing.ids_of(name)
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(
            "features must be finite, found NaN or infinite values for "
            f"{image_ids[bad[0]]} and {len(bad) - 1} more"
        )
    unknown = np.zeros(len(image_ids), dtype=np.int32)
    return ClassFeatures(
        class_name=name,
        class_index=listing.index_of(name),
        image_ids=image_ids,
        features=features,
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=unknown,
        height=unknown,
        sha256=[sha256_bytes(row.tobytes()) for row in features],
    )
