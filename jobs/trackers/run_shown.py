"""Shows a run in its trackers: stages, loss curves, grids, subsets and metrics."""

import logging
from collections.abc import Callable, Sequence

from jobs.command.progress import note
from jobs.run_directory.results import read_metrics
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import stage_seconds
from jobs.trackers.courier import Courier
from jobs.trackers.figures import (
    Values,
    held_out_losses,
    measured,
    metric_row,
    selection_rows,
    stored_lines,
)
from jobs.trackers.shown import reason
from jobs.trackers.tracker import Row
from otcondense.diffusion.loss_lines import LossLine
from otcondense.diffusion.train_job import grid_file

LOG = logging.getLogger(__name__)
NO_VALUES = frozenset({"step", "time", "process"})
"""Parts of a line of a loss curve that are no values of the training."""


class RunShown:
    """The trackers of one command on a run. No method but `close` waits for them."""

    def __init__(self, run: Run, couriers: Sequence[Courier]) -> None:
        self._run = run
        self._couriers = couriers
        self._grids: dict[str, int] = {}
        """The last step whose grid was shown, by the directory of its training."""

    def begin(self, stage: str) -> None:
        """Say that a stage has begun."""
        self._each(lambda courier: courier.stage(stage))

    def end(self, stage: str, seconds: float) -> None:
        """Show the seconds of a stage, and what it has made so far.

        Args:
            stage: its name.
            seconds: of this start; a run logs those of all starts, and a stage alone logs none.
        """
        self._read(stage, lambda: self._show_seconds(stage, seconds))
        results = {
            "select_subset": self._subsets,
            "train": self._trainings,
            "evaluate": self._metrics,
        }
        if stage in results:
            self._read(stage, results[stage])
        self._each(Courier.keep)

    def line(self, model: str, subset: str, line: LossLine) -> None:
        """Show a line of a loss curve, and the grids that were drawn until then."""
        values = line.to_json()
        shown = {name: values[name] for name in values.keys() - NO_VALUES}
        self._each(lambda courier: courier.line(f"train/{model}-{subset}", shown, line.step))
        self._read("train", lambda: self._show_grids(model, subset, line.step))

    def close(self, *, failed: bool) -> None:
        """Wait until everything is shown, and print where."""
        for courier in self._couriers:
            place = courier.close(failed=failed)
            if place:
                note(courier.name, place)

    def _each(self, tell: Callable[[Courier], None]) -> None:
        for courier in self._couriers:
            tell(courier)

    def _read(self, stage: str, show: Callable[[], None]) -> None:
        """Show results; that one cannot be read is for the stages to say."""
        try:
            show()
        except Exception as error:  # noqa: BLE001 - no tracker may stop a run
            LOG.warning("trackers do not show all results of %s: %s", stage, reason(error))

    def _show_seconds(self, stage: str, seconds: float) -> None:
        shown = {"seconds": stage_seconds(self._run).get(stage, seconds)}
        self._each(lambda courier: courier.values(f"stages/{stage}", shown))

    def _subsets(self) -> None:
        """Show the figures of each subset, and keep its manifest."""
        rows: list[Row] = []
        for subset, values in selection_rows(self._run):
            rows.append({"subset": subset, **values})
            self._show_subset(subset, values)
        self._each(lambda courier: courier.table("subsets", rows))

    def _show_subset(self, subset: str, values: dict[str, float]) -> None:
        name = self._run.manifest(subset)
        manifest = self._run.store.read_bytes(name)
        self._each(lambda courier: courier.values(f"select/{subset}", values))
        self._each(lambda courier: courier.file(name, manifest))

    def _trainings(self) -> None:
        """Show what no line of this command said: of earlier starts, and held-out losses."""
        for model, subset in self._run.trainings():
            for line in stored_lines(self._run, model, subset):
                self.line(model, subset, line)
            losses = held_out_losses(self._run, model, subset)
            for step, loss in sorted(losses.items()):
                self._show_held_out(f"held_out/{model}-{subset}", loss, step)

    def _show_held_out(self, group: str, loss: float, step: int) -> None:
        self._each(lambda courier: courier.line(group, {"loss": loss}, step))

    def _show_grids(self, model: str, subset: str, step: int) -> None:
        """Show the grids up to a step; one that is not written yet comes with a later line."""
        every = self._run.config.models[model].training.grid_every
        if every is None:
            return
        directory = self._run.training_directory(model, subset)
        for drawn in range(self._grids.get(directory, 0) + every, step + 1, every):
            name = grid_file(directory, drawn)
            if not self._run.store.exists(name):
                return
            self._show_grid(f"samples/{model}-{subset}", self._run.store.read_bytes(name), drawn)
            self._grids[directory] = drawn

    def _show_grid(self, group: str, png: bytes, step: int) -> None:
        self._each(lambda courier: courier.image(group, png, step))

    def _metrics(self) -> None:
        """Show the metrics of subsets and of the samples of each checkpoint."""
        for found in measured(self._run):
            self._show_metrics(found)
        rows = [metric_row(found) for found in read_metrics(self._run)]
        self._each(lambda courier: courier.table("metrics", rows))

    def _show_metrics(self, found: Values) -> None:
        self._each(lambda courier: courier.values(found.group, found.values, found.step))
