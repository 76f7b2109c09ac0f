"""Training as far as it has come: losses, and samples of the checkpoints."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jobs.run_directory.run import CURVE_FILE, Run
from otcondense.report import LossCurve
from otcondense.report.embed import Plot, loss_plots


@dataclass(frozen=True)
class SheetView:
    """Samples of one checkpoint that can be looked at."""

    model: str
    method: str
    step: int


@dataclass(frozen=True)
class TrainingView:
    """All that the page shows of training."""

    losses: dict[str, Plot]
    """By model."""
    sheets: tuple[SheetView, ...]


def training_view(run: Run) -> TrainingView:
    """Read the loss curves, the live ones too, and which samples there are."""
    return TrainingView(
        loss_plots(list(_curves(run)), run.config.selection.methods), tuple(_sheets(run))
    )


def _curves(run: Run) -> Iterator[LossCurve]:
    for model, method in run.trainings():
        directory = run.training_directory(model, method)
        # The log has what came after the last checkpoint, and again what a restart repeated; the curve's file is the result.
        lines = {
            line["step"]: line
            for name in (f"logs/{directory}/steps.jsonl", f"{directory}/{CURVE_FILE}")
            for line in run.store.read_lines(name)
        }
        if lines:
            steps = sorted(lines)
            yield LossCurve(
                model, method, np.array(steps), np.array([lines[step]["loss"] for step in steps])
            )


def _sheets(run: Run) -> Iterator[SheetView]:
    for model, method, step in run.checkpoints():
        config = run.config.models[model].sampling
        wanted = -(-config.num_samples // config.batch_size)
        if len(run.store.list(run.samples_directory(model, method, step))) >= wanted:
            yield SheetView(model, method, step)
