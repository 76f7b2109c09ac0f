"""Measure every subset itself and the samples of every checkpoint against held-out images.

`otcondense evaluate`
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.evaluate.draws import compare_with_random
from jobs.evaluate.encoding import ImageEncoding, LazyPlace, NetworkImages
from jobs.evaluate.losses import LossFiles, loss_files
from jobs.evaluate.tasks import SampleFigures, SampleTask, SubsetTask
from jobs.judging.evaluation import Evaluation
from jobs.judging.run_images import SampledImages
from jobs.run_directory.bars import EVALUATION_BAR, JUDGE_BAR
from jobs.run_directory.results import (
    MetricRecord,
    SubsetRecord,
    is_finished,
    subset_quality_file,
    write_record,
)
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.evaluation import count_copies, rounded_values
from otcondense.store import fingerprint
from pipeline.evaluation_place import Task

Found = SampleFigures | dict[str, float]
"""Metrics of samples, or of a subset by name."""


@dataclass(frozen=True)
class _Measurement:
    """One set of images to measure, and the file of its metrics."""

    name: str
    """Of the file."""
    method: str
    samples: SampledImages | None
    """None measures the subset itself."""

    def fingerprint(self, evaluation: Evaluation) -> str:
        """Return the fingerprint of everything that the metrics depend on."""
        manifest = evaluation.run.manifest_fingerprint(self.method)
        if self.samples is None:
            return fingerprint([evaluation.inputs, manifest])
        return fingerprint([evaluation.inputs, self.samples.digest, manifest])


def evaluate(run: Run, apart: str = "") -> None:
    """Compare each subset with random draws, then measure it and the samples of each checkpoint.

    Args:
        run: the run.
        apart: part of the names of the features, for processes that share a run directory.
    """
    if run.config.held_out is None:
        note("evaluate", "held_out is not configured, nothing is measured")
        return

    if not apart:
        compare_with_random(run)
    if not run.config.models:
        return
    evaluation = Evaluation(run, apart)
    measurements = list(_measurements(run))
    expected = [each.fingerprint(evaluation) for each in measurements]
    pairs = zip(measurements, expected, strict=True)
    missing = [pair for pair in pairs if not is_finished(run, pair[0].name, pair[1])]
    if measurements:
        _measure(evaluation, measurements, missing)
    skipped = len(measurements) - len(missing)
    ending = earlier_part(skipped, len(measurements), "set")
    note("evaluate", f"{counted(len(measurements), 'set')} of images{ending}")


def encode_shared(run: Run) -> None:
    """Encode the held-out images, and those of ADM's reference, through every judge."""
    evaluation = Evaluation(run)
    judges = [evaluation.main, *evaluation.further.values()]
    networks = [NetworkImages.shared(evaluation, judge) for judge in judges]
    with Progress(run.store, *JUDGE_BAR) as progress:
        ImageEncoding(run.store, LazyPlace(run), networks, progress.show).run(
            run.config.extraction, run.config.cluster
        )


def _measurements(run: Run) -> Iterator[_Measurement]:
    trained = {method for _, method in run.trainings()}
    for method in run.config.selection.subsets:
        if method in trained:
            yield _Measurement(subset_quality_file(run, method), method, None)
    for model, method, step in run.checkpoints():
        samples = SampledImages(run, model, method, step)
        yield _Measurement(run.metrics_file(model, method, step), method, samples)


def _measure(
    evaluation: Evaluation,
    measurements: Sequence[_Measurement],
    missing: Sequence[tuple[_Measurement, str]],
) -> None:
    """Encode all images, then write the missing metrics."""
    run = evaluation.run
    samples = [each.samples for each in measurements if each.samples is not None]
    networks = {
        name: NetworkImages.of(evaluation, judge, samples)
        for name, judge in {"": evaluation.main, **evaluation.further}.items()
    }
    place = LazyPlace(run)
    with Progress(run.store, *JUDGE_BAR) as progress:
        ImageEncoding(run.store, place, list(networks.values()), progress.show).run(
            run.config.extraction, run.config.cluster
        )
    wanted = [each.samples for each, _ in missing if each.samples is not None]
    losses = loss_files(evaluation, wanted)
    with Progress(run.store, *EVALUATION_BAR) as progress:
        done = len(measurements) - len(missing)
        progress.show(done, len(measurements))
        tasks: list[Task[Found]] = [
            _task(evaluation, networks, losses, measurement) for measurement, _ in missing
        ]
        for found in place.get.measure(tasks) if tasks else ():
            measurement, expected = missing[found.number]
            write_record(run, measurement.name, _record(evaluation, found.result, expected))
            done += 1
            progress.show(done, len(measurements))
    if missing:
        note_copies(evaluation)


def _task(
    evaluation: Evaluation,
    networks: Mapping[str, NetworkImages],
    losses: Mapping[str, LossFiles],
    measurement: _Measurement,
) -> Task[Found]:
    root = evaluation.run.store.root
    samples = measurement.samples
    files = {name: each.files(measurement.method, samples) for name, each in networks.items()}
    main = files.pop("")
    if samples is None:
        return SubsetTask(root, main, files, evaluation.settings)
    return SampleTask(
        root=root,
        main=main,
        further=files,
        reference=evaluation.settings.reference,
        settings=evaluation.settings,
        classes=samples.classes,
        held_out_classes=evaluation.held_out.classes,
        losses=losses.get(samples.directory),
    )


def _record(evaluation: Evaluation, found: Found, expected: str) -> MetricRecord | SubsetRecord:
    if isinstance(found, dict):
        return SubsetRecord(expected, found, evaluation.main.name)
    main = found.main
    names = evaluation.held_out.class_names
    by_class = {names[number]: value for number, value in found.by_class.items()}
    return MetricRecord(
        fingerprint=expected,
        values=found.values,
        num_samples=main.num_samples,
        num_held_out=main.num_held_out,
        num_training=main.num_training,
        encoder=main.encoder,
        encoder_sha256=main.encoder_sha256,
        settings=main.settings,
        class_frechet_distance=rounded_values(by_class),
    )


def note_copies(evaluation: Evaluation) -> None:
    """Name held-out images that are there more than once: they shift every metric."""
    features = evaluation.held_out_features
    copies = count_copies(features)
    if copies:
        note(
            "held-out images",
            f"{copies} of {len(features)} are copies of another one; with k copies of each, the "
            "balls of precision, density and coverage are empty: leave the copies out",
        )
