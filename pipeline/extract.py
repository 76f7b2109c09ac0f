"""Features of every image, once: decode tasks feed encoder actors, and each class is written as soon as it is complete."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from otcondense.datasets import (
    ImageRecord,
    Listing,
    SourceConfig,
    by_class,
    records_identity,
    scan_images,
)
from otcondense.encoders import EncoderConfig, weights_sha256
from otcondense.errors import InputError
from otcondense.store import (
    FEATURES_SCHEMA_VERSION,
    ClassFeatures,
    Store,
    class_file,
    read_unchanged,
    table_metadata,
    write_class_features,
)
from otcondense.store import fingerprint as fingerprint_of
from pipeline.chunks import DecodeConfig, ImageStatus, make_chunks, read_statuses
from pipeline.encoding import CONFIDENCES
from pipeline.quarantine import (
    Lost,
    check_lost_share,
    read_class_quarantine,
    write_class_quarantine,
    write_quarantine,
)
from pipeline.stream import ExtractionConfig, stream_encoded

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class ExtractionResult:
    """What an extraction did."""

    num_images: int
    """Images with features, over all classes."""
    num_quarantined: int
    """Images that could not be used; `num_images` and these add up to the images of the source."""
    num_ignored: int
    """Files of the source that are no images by their name."""
    classes_done: int
    """Classes that were encoded now."""
    classes_skipped: int
    """Classes that were there already with the same fingerprint."""


@dataclass
class _ClassWork:
    """One class on its way: its images, and the encoded chunks that have come back."""

    records: list[ImageRecord]
    mark: str
    chunks: int
    parts: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.records[0].class_name

    def chunk_records(self, number: int, batch_size: int) -> list[ImageRecord]:
        return self.records[number * batch_size : (number + 1) * batch_size]


@dataclass(frozen=True)
class _Target:
    store: Store
    directory: str


@dataclass(frozen=True)
class _Job:
    source: SourceConfig
    encoder: EncoderConfig
    config: ExtractionConfig
    sha256: str


def extract_features(
    store_root: str,
    directory: str,
    source: SourceConfig,
    encoder: EncoderConfig,
    config: ExtractionConfig,
    fingerprint: str,
    on_progress: OnProgress = lambda _done, _total: None,
) -> ExtractionResult:
    """Write one feature file per class of `source` to `directory` of the store, and `_quarantine.parquet`.

    A class whose file is there with the same inputs is skipped. A killed run loses the classes in flight alone. `fingerprint`
    stands for all settings of the stage; `on_progress` gets the number of images done and their total.

    Raises: InputError if source, encoder and cluster do not fit together, or too many images cannot be used.
    """
    target, listing = _Target(Store(store_root), directory), scan_images(source)
    _check_classes(encoder, listing, source)
    sha256 = weights_sha256(encoder)
    works = _plan(listing.records, fingerprint, sha256, encoder.batch_size)
    lost_before = {work.name: _finished(target, work) for work in works}
    todo = [work for work in works if lost_before[work.name] is None]
    lost = [each for known in lost_before.values() if known is not None for each in known]
    total, done = (
        len(listing.records),
        len(listing.records) - sum(len(work.records) for work in todo),
    )
    on_progress(done, total)
    where = target.store.path(f"{directory}/_quarantine.parquet")
    try:
        for encoded, newly_lost in _encode(target, todo, _Job(source, encoder, config, sha256)):
            done += encoded
            lost += newly_lost
            check_lost_share(lost, total, source.max_lost_share, where)
            on_progress(done, total)
    finally:
        write_quarantine(target.store, directory, lost)
    check_lost_share(lost, total, source.max_lost_share, where)
    assert done == total, f"{total} images went in, {done} came out or were quarantined"
    return ExtractionResult(
        total - len(lost), len(lost), len(listing.ignored), len(todo), len(works) - len(todo)
    )


def _check_classes(encoder: EncoderConfig, listing: Listing, source: SourceConfig) -> None:
    classes = encoder.classes()
    if classes not in (0, len(listing.classes)):
        raise InputError(
            f"the classifier of {encoder.name} has {classes} classes, {source.path} has {len(listing.classes)} folders; a confidence in the "
            "true class needs one logit per folder: use a classifier of these classes, or num_classes=0 for features only"
        )


def class_fingerprint(records: list[ImageRecord], fingerprint: str, sha256: str) -> str:
    """Return the fingerprint of the features of one class.

    Args:
        records: the images of the class, sorted.
        fingerprint: stands for all settings of the stage.
        sha256: of the encoder's weights.
    """
    first = records[0]
    return fingerprint_of(
        [
            fingerprint,
            sha256,
            FEATURES_SCHEMA_VERSION,
            first.class_index,
            first.class_name,
            records_identity(records),
        ]
    )


def _plan(
    records: list[ImageRecord], fingerprint: str, sha256: str, batch_size: int
) -> list[_ClassWork]:
    """Return the work of each class, in order."""
    return [
        _ClassWork(
            images, class_fingerprint(images, fingerprint, sha256), -(-len(images) // batch_size)
        )
        for images in by_class(records).values()
    ]


def _finished(target: _Target, work: _ClassWork) -> list[Lost] | None:
    """Return what a finished class lost, or None if it has to be encoded: also if its file is damaged or does not add up."""
    try:
        table = read_unchanged(target.store, class_file(target.directory, work.name))
    except (
        FileNotFoundError,
        InputError,
    ):  # not there, or damaged: both are mended by encoding the class
        return None
    lost = read_class_quarantine(target.store, target.directory, work.name, work.mark)
    complete = table_metadata(table).get("fingerprint") == work.mark and len(table) + len(
        lost
    ) == len(work.records)
    return lost if complete else None


def _encode(target: _Target, todo: list[_ClassWork], job: _Job) -> Iterator[tuple[int, list[Lost]]]:
    """Encode classes and write each when its last chunk arrives; yields how many images each chunk had and which it lost."""
    works = {work.records[0].class_index: work for work in todo}
    rows = [row for work in todo for row in make_chunks(work.records, job.encoder.batch_size)]
    decode = DecodeConfig(job.encoder.input_spec(), job.encoder.batch_size, job.source.max_pixels)
    for part in stream_encoded(rows, decode, job.encoder, job.config, job.sha256):
        work = works[int(part["class_index"])]
        assert int(part["chunk"]) not in work.parts, "a chunk came back twice"
        work.parts[int(part["chunk"])] = part
        if len(work.parts) == work.chunks:
            _write_class(target, works.pop(work.records[0].class_index))
        statuses = read_statuses(part["statuses"])
        yield (
            len(statuses),
            _lost(work.chunk_records(int(part["chunk"]), job.encoder.batch_size), statuses),
        )
    assert not works, f"{len(works)} classes did not come back"


def _lost(records: list[ImageRecord], statuses: list[ImageStatus]) -> list[Lost]:
    pairs = zip(records, statuses, strict=True)
    return [
        Lost(record.image_id, record.class_name, status.reason)
        for record, status in pairs
        if status.reason is not None
    ]


def _write_class(target: _Target, work: _ClassWork) -> None:
    parts = [work.parts[number] for number in range(work.chunks)]
    statuses = [status for part in parts for status in read_statuses(part["statuses"])]
    lost = _lost(work.records, statuses)
    kept = [row for row, status in enumerate(statuses) if status.reason is None]
    if not kept:
        raise InputError(
            f"no image of class {work.name} can be used, the first is {lost[0].image_id}: {lost[0].reason}"
        )
    features = _assemble(work, parts, statuses, kept)
    write_class_quarantine(target.store, target.directory, work.name, work.mark, lost)
    write_class_features(target.store, target.directory, features, fingerprint=work.mark)
    work.parts.clear()


def _assemble(
    work: _ClassWork, parts: list[dict[str, Any]], statuses: list[ImageStatus], kept: list[int]
) -> ClassFeatures:
    sizes = [len(read_statuses(part["statuses"])) for part in parts]

    def joined(name: str) -> NDArray[Any] | None:
        if name not in parts[0]:
            return None
        return np.concatenate([part[name][:size] for part, size in zip(parts, sizes, strict=True)])[
            kept
        ]

    features = joined("features")
    assert features is not None
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        raise InputError(
            f"features must be finite, found NaN or infinite values for {work.records[kept[bad[0]]].image_id} and {len(bad) - 1} more"
        )
    return ClassFeatures(
        class_name=work.name,
        class_index=work.records[0].class_index,
        image_ids=[work.records[row].image_id for row in kept],
        features=features,
        logits=joined("logits"),
        width=np.array([statuses[row].width for row in kept], dtype=np.int32),
        height=np.array([statuses[row].height for row in kept], dtype=np.int32),
        sha256=[statuses[row].sha256 for row in kept],
        **{name: joined(name) for name in CONFIDENCES},
    )
