"""Features of every image: decode tasks feed encoder actors, and each complete class is written."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from otcondense.datasets import Listing, SourceConfig, by_class, scan_images
from otcondense.encoders import EncoderConfig, weights_sha256
from otcondense.errors import InputError
from otcondense.store import Store
from pipeline.chunks import DecodeConfig
from pipeline.class_task import ClassTask, finished_class, plan_class, write_class
from pipeline.extraction_config import ExtractionConfig
from pipeline.quarantine import Lost, check_lost_share, quarantine_file, write_quarantine
from pipeline.same_content import recognise_class
from pipeline.stream import ChunkEncoding, stream_encoded

OnProgress = Callable[[int, int], None]
"""Gets the number of images that are done, and their total."""


@dataclass(frozen=True)
class ExtractionResult:
    """Counts of one extraction."""

    num_images: int
    """Images with features, over all classes."""
    num_quarantined: int
    """Images that cannot be used; with `num_images` they add up to the images of the source."""
    num_ignored: int
    """Files of the source whose name is not that of an image."""
    classes_done: int
    """Classes that were encoded by this call."""
    classes_skipped: int
    """Classes that were already finished with the same fingerprint, or with the same content."""
    classes_recognised: int = 0
    """Those of the skipped classes whose images have other times and the same content."""


@dataclass(frozen=True)
class _ChunkResult:
    """One encoded chunk."""

    num_images: int
    lost: list[Lost]


def extract_features(
    store_root: str,
    directory: str,
    source: SourceConfig,
    encoder: EncoderConfig,
    config: ExtractionConfig,
    stage_fingerprint: str,
    on_progress: OnProgress = lambda _done, _total: None,
) -> ExtractionResult:
    """Write one feature file per class of `source`, and `_quarantine.parquet`.

    A class that is already finished with the same inputs is skipped. A killed run loses only the
    classes that were in progress.

    Args:
        store_root: root of the run.
        directory: of the feature files, below the root.
        source: the images.
        encoder: the network.
        config: resources; they do not change the result.
        stage_fingerprint: of all settings of the stage.
        on_progress: called after every chunk.

    Raises: InputError if source, encoder and cluster do not fit together, or too many images cannot
        be used.
    """
    store = Store(store_root)
    listing = scan_images(source)
    _check_classes(encoder, listing, source)
    sha256 = weights_sha256(encoder)
    encoding = class_encoding(encoder, source, sha256)
    plan = _plan(store, directory, listing, encoding, stage_fingerprint)

    total = len(listing.records)
    done = total - sum(len(task.records) for task in plan.tasks)
    lost = plan.lost.copy()
    on_progress(done, total)

    where = store.path(quarantine_file(directory))
    try:
        for chunk in _encode(store, directory, plan.tasks, encoding, config):
            done += chunk.num_images
            lost += chunk.lost
            check_lost_share(lost, total, source.max_lost_share, where)
            on_progress(done, total)
    finally:
        write_quarantine(store, directory, lost)

    check_lost_share(lost, total, source.max_lost_share, where)
    assert done == total, f"{total} images went in, {done} came out or were quarantined"
    return ExtractionResult(
        num_images=total - len(lost),
        num_quarantined=len(lost),
        num_ignored=len(listing.ignored),
        classes_done=len(plan.tasks),
        classes_skipped=plan.skipped,
        classes_recognised=plan.recognised,
    )


@dataclass(frozen=True)
class _Plan:
    """The work of one extraction."""

    tasks: list[ClassTask]
    """The classes to encode."""
    skipped: int
    """Classes that an earlier run finished."""
    recognised: int
    """Those of the skipped classes whose images have other times and the same content."""
    lost: list[Lost]
    """The images that earlier runs could not use, of the skipped classes."""


def _plan(
    store: Store,
    directory: str,
    listing: Listing,
    encoding: ChunkEncoding,
    stage_fingerprint: str,
) -> _Plan:
    classes = by_class(listing.records)
    tasks: list[ClassTask] = []
    lost: list[Lost] = []
    recognised = 0
    for records in classes.values():
        batch_size = encoding.encoder.batch_size
        task = plan_class(records, stage_fingerprint, encoding.weights_sha256, batch_size)
        lost_before = finished_class(store, directory, task, encoding.decode)
        if lost_before is None:
            lost_before = recognise_class(store, directory, task, encoding.decode)
            recognised += lost_before is not None
        if lost_before is None:
            tasks.append(task)
        else:
            lost += lost_before
    return _Plan(tasks, len(classes) - len(tasks), recognised, lost)


def class_encoding(encoder: EncoderConfig, source: SourceConfig, sha256: str) -> ChunkEncoding:
    """Return how the images of a source are decoded and encoded by weights of this SHA-256."""
    decode = DecodeConfig(encoder.input_spec(), encoder.batch_size, source.max_pixels)
    return ChunkEncoding(decode, encoder, sha256)


def _check_classes(encoder: EncoderConfig, listing: Listing, source: SourceConfig) -> None:
    classes = encoder.classes()
    if classes not in (0, len(listing.classes)):
        raise InputError(
            f"the classifier of {encoder.name} has {classes} classes, "
            f"{source.path} has {len(listing.classes)} folders; a confidence in the true class "
            "needs one logit per folder: use a classifier of these classes, or num_classes=0 for "
            "features only"
        )


def _encode(
    store: Store,
    directory: str,
    tasks: list[ClassTask],
    encoding: ChunkEncoding,
    config: ExtractionConfig,
) -> Iterator[_ChunkResult]:
    """Encode classes, and write each when its last chunk comes back."""
    open_tasks = {task.class_index: task for task in tasks}
    chunks = [chunk for task in tasks for chunk in task.chunks]
    for chunk in stream_encoded(chunks, encoding, config):
        task = open_tasks[chunk.class_index]
        task.add(chunk)
        if task.is_complete:
            write_class(store, directory, task)
            task.encoded.clear()
            del open_tasks[chunk.class_index]
        yield _ChunkResult(len(chunk.statuses), task.lost(chunk))
    assert not open_tasks, f"{len(open_tasks)} classes did not come back"
