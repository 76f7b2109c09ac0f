"""Measure every subset itself and the samples of every checkpoint against held-out images.

`python -m jobs.evaluate`
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from jobs.command.progress import Progress, note
from jobs.judging.evaluation import Evaluation
from jobs.judging.run_images import SampledImages
from jobs.run_directory.bars import EVALUATION_BAR
from jobs.run_directory.results import (
    MetricRecord,
    SubsetRecord,
    is_finished,
    read_metrics,
    subset_quality_file,
    write_record,
)
from jobs.run_directory.run import Run
from otcondense.evaluation import (
    Comparison,
    Figures,
    class_frechet_distances,
    count_copies,
    rounded_values,
    sample_figures,
    subset_figures,
)
from otcondense.evaluation.registry import METRICS
from otcondense.store import fingerprint


@dataclass(frozen=True)
class _Measurement:
    """One set of images to measure, and the file of its metrics."""

    name: str
    fingerprint: Callable[[], str]
    measure: Callable[[str], MetricRecord | SubsetRecord]
    """Takes the fingerprint of the record."""


def evaluate(run: Run) -> None:
    """Measure each subset, then the samples of each checkpoint."""
    if run.config.held_out is None:
        note("evaluate", "held_out is not configured, nothing is measured")
        return

    evaluation = Evaluation(run)
    measurements = list(_measurements(evaluation))
    skipped = 0
    with Progress(run.store, *EVALUATION_BAR) as progress:
        for done, measurement in enumerate(measurements):
            progress.show(done, len(measurements))
            expected = measurement.fingerprint()
            if is_finished(run, measurement.name, expected):
                skipped += 1
            else:
                write_record(run, measurement.name, measurement.measure(expected))
        progress.show(len(measurements), len(measurements))
    note("evaluate", f"{len(measurements)} sets of images, {skipped} already finished")
    if skipped < len(measurements):
        note_copies(evaluation)


def note_copies(evaluation: Evaluation) -> None:
    """Name held-out images that are there more than once: they shift every metric."""
    features = evaluation.judge.encode_once(evaluation.held_out.images).features
    copies = count_copies(features)
    if copies:
        note(
            "held-out images",
            f"{copies} of {len(features)} are copies of another one; with k copies of each, the "
            "balls of precision, density and coverage are empty: leave the copies out",
        )


def _measurements(evaluation: Evaluation) -> Iterator[_Measurement]:
    run = evaluation.run
    trained = {method for _, method in run.trainings()}
    for method in run.config.selection.subsets:
        if method in trained:
            yield _subset_measurement(evaluation, method)
    for model, method, step in run.checkpoints():
        yield _samples_measurement(evaluation, model, method, step)


def _subset_measurement(evaluation: Evaluation, method: str) -> _Measurement:
    run = evaluation.run

    def measure(expected: str) -> SubsetRecord:
        values = subset_figures(
            evaluation.training(method),
            evaluation.held_out.images,
            evaluation.judge,
            evaluation.further,
            evaluation.settings.neighbours,
        )
        return SubsetRecord(expected, values, evaluation.judge.network.name)

    return _Measurement(
        name=subset_quality_file(run, method),
        fingerprint=lambda: fingerprint([evaluation.inputs, run.manifest_fingerprint(method)]),
        measure=measure,
    )


def _samples_measurement(
    evaluation: Evaluation, model: str, method: str, step: int
) -> _Measurement:
    run = evaluation.run
    samples = SampledImages.of(run, model, method, step)

    def key() -> str:
        manifest = run.manifest_fingerprint(method)
        return fingerprint([evaluation.inputs, samples.sha256, manifest])

    def measure(expected: str) -> MetricRecord:
        figures = sample_figures(
            samples.images,
            Comparison(
                held_out=evaluation.held_out.images,
                training=evaluation.training(method),
                reference=evaluation.reference,
            ),
            evaluation.judge,
            evaluation.further,
            evaluation.settings,
        )
        return _record(figures, expected, _class_distances(evaluation, figures, samples))

    return _Measurement(run.metrics_file(model, method, step), key, measure)


def _record(figures: Figures, expected: str, by_class: dict[str, float]) -> MetricRecord:
    main = figures.main
    assert main is not None, "a run is evaluated against held-out images"
    return MetricRecord(
        fingerprint=expected,
        values=rounded_values({**main.values, **figures.adm, **figures.further}),
        num_samples=main.num_samples,
        num_held_out=main.num_held_out,
        num_training=main.num_training,
        encoder=main.encoder,
        encoder_sha256=main.encoder_sha256,
        settings=main.settings,
        class_frechet_distance=by_class,
    )


def _class_distances(
    evaluation: Evaluation, figures: Figures, samples: SampledImages
) -> dict[str, float]:
    """Return the Fréchet distance of each class by its name."""
    held_out = evaluation.held_out
    distances = class_frechet_distances(
        figures.samples.features,
        samples.classes,
        evaluation.judge.encode_once(held_out.images).features,
        held_out.classes,
    )
    names = held_out.class_names
    return rounded_values({names[number]: value for number, value in distances.items()})


def print_table(run: Run) -> None:
    """Print method × metric, a row for each checkpoint."""
    rows = read_metrics(run)
    if not rows:
        return
    names = [metric.name for metric in METRICS.values() if metric.in_summary]
    headings = "".join(f"{name:>17}" for name in names)
    print(f"\n{'model':<8}{'method':<18}{'steps':>7}{headings}")
    for row in rows:
        values = [row.record.values.get(name, math.nan) for name in names]
        figures = "".join(f"{value:>17.3f}" for value in values)
        print(f"{row.model:<8}{row.method:<18}{row.step:>7}{figures}")
