"""The training so far: loss curves, and samples of the checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.run_directory.run import Run
from otcondense.diffusion.loss_lines import CURVE_FILE
from otcondense.report import LossCurve
from otcondense.report.builders import LossPoint, loss_curve
from otcondense.report.embed import Plot, loss_plots


@dataclass(frozen=True)
class SheetView:
    """A sheet of samples of one checkpoint."""

    model: str
    method: str
    step: int


@dataclass(frozen=True)
class TrainingView:
    """All data of the view of training."""

    losses: dict[str, Plot]
    """By model."""
    sheets: tuple[SheetView, ...]


def training_view(run: Run) -> TrainingView:
    """Read the loss curves, including live ones, and find the samples."""
    losses = loss_plots(list(_curves(run)), run.config.selection.subsets)
    return TrainingView(losses, tuple(_sheets(run)))


def _curves(run: Run) -> Iterator[LossCurve]:
    for model, method in run.trainings():
        directory = run.training_directory(model, method)
        # The log has the steps after the last checkpoint, and repeats steps after a restart. The
        # file of the curve has the final values, so it is read last.
        lines = [
            *run.store.read_lines(f"logs/{directory}/steps.jsonl", LossPoint),
            *run.store.read_lines(f"{directory}/{CURVE_FILE}", LossPoint),
        ]
        curve = loss_curve(model, method, lines)
        if curve is not None:
            yield curve


def _sheets(run: Run) -> Iterator[SheetView]:
    for model, method, step in run.checkpoints():
        config = run.config.models[model].sampling
        wanted = -(-config.num_samples // config.batch_size)
        if len(run.store.list(run.samples_directory(model, method, step))) >= wanted:
            yield SheetView(model, method, step)
