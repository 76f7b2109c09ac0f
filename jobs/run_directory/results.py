"""The stored metrics of a run: of the samples of each checkpoint, and of each subset itself."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.store import fingerprint


@dataclass(frozen=True)
class MetricRecord:
    """The metrics of the samples of one checkpoint."""

    fingerprint: str
    """Of everything that the metrics depend on."""
    values: Mapping[str, float]
    """By the names of `otcondense.evaluation.registry.METRICS`; NAME.METRIC through the further
    judge NAME."""
    num_samples: int
    num_held_out: int
    num_training: int | None
    encoder: str
    encoder_sha256: str
    settings: Mapping[str, Any]
    class_frechet_distance: Mapping[str, float]
    """By class name."""


@dataclass(frozen=True)
class CheckpointMetrics:
    """A metric record and the checkpoint that it belongs to."""

    model: str
    method: str
    step: int
    record: MetricRecord


@dataclass(frozen=True)
class SubsetRecord:
    """The metrics of one subset itself."""

    fingerprint: str
    values: Mapping[str, float]
    """By the names of `otcondense.evaluation.registry.METRICS`; also num_images and
    num_held_out."""
    encoder: str


def subset_quality_file(run: Run, method: str) -> str:
    """Return the name of the file with the metrics of one subset itself."""
    key = fingerprint(run.features_key(run.config.judge_or_encoder))
    return f"{run.selection_directory(method)}/quality-{key[:8]}.json"


def write_record(run: Run, name: str, record: MetricRecord | SubsetRecord) -> None:
    """Write a record."""
    run.store.write_json(name, asdict(record))


def is_finished(run: Run, name: str, expected: str) -> bool:
    """Return whether the file `name` holds a record with the fingerprint `expected`."""
    stored = _read(run, name)
    return stored is not None and stored["fingerprint"] == expected


def read_metrics(run: Run) -> list[CheckpointMetrics]:
    """Return the stored metrics of all checkpoints."""
    found = []
    for model, method, step in run.checkpoints():
        stored = _read(run, run.metrics_file(model, method, step))
        if stored is not None:
            # Records of older versions have no distances of classes.
            record = MetricRecord(**{"class_frechet_distance": {}, **stored})
            found.append(CheckpointMetrics(model, method, step, record))
    return found


def read_subset_quality(run: Run) -> dict[str, SubsetRecord]:
    """Return the stored metrics of all subsets by method."""
    found = {}
    for method in run.config.selection.subsets:
        stored = _read(run, subset_quality_file(run, method))
        if stored is not None:
            found[method] = SubsetRecord(**stored)
    return found


def _read(run: Run, name: str) -> dict[str, Any] | None:
    """Return a stored record; None if it is missing, or damaged and thus recomputed."""
    if not run.store.exists(name):
        return None
    try:
        return run.store.read_json(name)
    except InputError:
        return None
