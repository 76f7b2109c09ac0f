"""The training so far: loss curves, and samples of the checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jobs.run_directory.run import CURVE_FILE, Run
from otcondense.report import LossCurve
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
    losses = loss_plots(list(_curves(run)), run.config.selection.methods)
    return TrainingView(losses, tuple(_sheets(run)))


def _curves(run: Run) -> Iterator[LossCurve]:
    for model, method in run.trainings():
        directory = run.training_directory(model, method)
        losses: dict[int, float] = {}
        # The log has the steps after the last checkpoint, and repeats steps after a restart. The
        # file of the curve has the final values, so it is read last.
        for name in (f"logs/{directory}/steps.jsonl", f"{directory}/{CURVE_FILE}"):
            for line in run.store.read_lines(name):
                losses[line["step"]] = line["loss"]
        if losses:
            steps = sorted(losses)
            loss = np.array([losses[step] for step in steps])
            yield LossCurve(model, method, np.array(steps), loss)


def _sheets(run: Run) -> Iterator[SheetView]:
    for model, method, step in run.checkpoints():
        config = run.config.models[model].sampling
        wanted = -(-config.num_samples // config.batch_size)
        if len(run.store.list(run.samples_directory(model, method, step))) >= wanted:
            yield SheetView(model, method, step)
