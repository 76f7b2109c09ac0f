"""Train every configured model on its subsets with Ray Train: `otcondense train`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from jobs.cluster.side_by_side import side_by_side
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import EARLIER
from jobs.judging.loss_images import write_held_out_pixels
from jobs.judging.run_images import HeldOutImages
from jobs.run_directory.bars import Bar, training_bar
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.trackers.tracking import line_shown
from jobs.train.launch import restore_summaries
from jobs.train.launch import train as run_training
from jobs.train.placement import Placement, plan_trainings
from jobs.train.prepare import training_job, write_training_images
from jobs.train.resume import next_start
from otcondense.diffusion.loss_lines import LoggedLine
from otcondense.diffusion.train_job import TrainJob


@dataclass(frozen=True)
class _Training:
    """One model on one of its subsets."""

    model: str
    method: str
    job: TrainJob

    @property
    def is_here(self) -> bool:
        """Whether this process trains, without workers."""
        return self.job.config.num_workers == 0

    @property
    def bar(self) -> Bar:
        """Its progress."""
        return training_bar(self.model, self.method)


def train(run: Run) -> None:
    """Train each model on each of its subsets."""
    still_open = []
    for training in _trainings(run):
        if training.job.missing_steps():
            still_open.append(training)
        else:
            _note_finished(run, training)
    _train(run, still_open)


def _trainings(run: Run) -> Iterator[_Training]:
    """Yield every training, with its images written."""
    num_classes = len(run_listing(run).classes)
    if any(model.training.keep_best == "held_out_loss" for model in run.config.models.values()):
        write_held_out_pixels(run, HeldOutImages(run))
    for model, method in run.trainings():
        if run.config.models[model].training.data == "pixels":
            write_training_images(run, method)
        yield _Training(model, method, training_job(run, model, method, num_classes))


def _train(run: Run, trainings: Sequence[_Training]) -> None:
    """Train in this process, or by workers: side by side as far as the cluster has room."""
    calls = [partial(_fit, run, each, None) for each in trainings if each.is_here]
    side_by_side(calls, at_once=1)
    by_workers = [each for each in trainings if not each.is_here]
    if not by_workers:
        return

    start_ray()
    plan = plan_trainings([each.job.config for each in by_workers], run.config.cluster)
    calls = [
        partial(_fit, run, each, placement)
        for each, placement in zip(by_workers, plan.placements, strict=True)
    ]
    side_by_side(calls, plan.at_once)


def _fit(run: Run, training: _Training, placement: Placement | None) -> None:
    config = training.job.config

    def show(line: LoggedLine) -> None:
        progress.show(line.step, config.num_steps, loss=line.loss)
        line_shown(training.model, training.method, line)

    with Progress(run.store, *training.bar) as progress:
        progress.show(next_start(training.job), config.num_steps)
        result = run_training(
            training.job,
            show,
            placement,
        )
    workers = "" if placement is None else f", by {placement.words}"
    start = f"resumed from step {result.resumed_from}" if result.resumed_from else "from the start"
    _note(training, f"{start}{workers}")


def _note_finished(run: Run, training: _Training) -> None:
    restore_summaries(training.job)
    with Progress(run.store, *training.bar) as progress:
        progress.show(training.job.config.num_steps, training.job.config.num_steps)
    _note(training, EARLIER)


def _note(training: _Training, ending: str) -> None:
    title = f"train {training.model} on {training.method}"
    note(title, f"{training.job.config.num_steps} steps, {ending}")
