"""Progress of a stage: one bar on the terminal, and one small file in `logs/` for the page."""

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from tqdm import tqdm

from otcondense.errors import InputError
from otcondense.store import (
    StageProgress,
    Store,
    UnitProgress,
    progress_file,
    read_progress,
    write_progress,
)

LOG = logging.getLogger(__name__)
TITLE_WIDTH = 34
SECONDS_BETWEEN_WRITES = 1.0
WORK_PER_WRITE = 100
"""Pause between two writes, as a multiple of the time of one write.

With a slow store or ten thousand units, writing then takes at most a hundredth of the time.
"""
ENDED = ("done", "failed", "skipped")


class Progress:
    """A bar with count, rate and time left, and a file with the same figures.

    Without a terminal, the bar prints about one line every ten seconds. Bar and file appear with
    the first count that leaves work to do.
    """

    def __init__(self, store: Store, stage: str, title: str, unit: str) -> None:
        self._store = store
        self._state = StageProgress(stage=stage, title=title, unit=unit)
        self._units: dict[str, UnitProgress] = {}
        self._ended = 0
        self._bar: tqdm[Any] | None = None
        self._next_write = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.close()
            self._write(finished=error is None and self._state.done == self._state.total)

    def show(self, done: int, total: int, **figures: float) -> None:
        """Show that `done` of `total` are done, with `figures` such as the loss."""
        if self._bar is None:
            if done >= total:
                self._note_finished(total)
                return
            self._start(done, total)
        assert self._bar is not None
        self._bar.set_postfix(
            {name: f"{value:.4g}" for name, value in figures.items()}, refresh=False
        )
        self._bar.update(done - self._bar.n)
        self._state = self._state.model_copy(
            update={"done": done, "total": total, "figures": figures}
        )
        if time.monotonic() >= self._next_write:
            self._write(finished=False)

    def lose(self, count: int) -> None:
        """Show that so many of those that were done in this start and before cannot be read."""
        self._state = self._state.model_copy(update={"lost": count})

    def follow(self, units: Sequence[UnitProgress]) -> None:
        """Show the units of the stage, in the order of work; the file lists finished ones too."""
        self._units = {unit.name: unit for unit in units}
        self._ended = sum(unit.state in ENDED for unit in units)
        self.show(self._ended, len(units))

    def change(self, name: str, changes: Mapping[str, Any]) -> None:
        """Show that the state of one unit has changed, by the names of `UnitProgress`."""
        before = self._units[name]
        after = self._units[name] = before.model_copy(update=changes)
        self._ended += (after.state in ENDED) - (before.state in ENDED)
        if after.state == "failed" and before.state != "failed":
            # At once: if all units fail for one reason, the user need not wait for the end.
            tqdm.write(f"{'failed':<{TITLE_WIDTH}}: {name}: {after.message}")
        self.show(self._ended, len(self._units))

    def update(self, name: str, changes: Mapping[str, Any]) -> None:
        """Show the progress of a running unit; news of an ended unit is outdated."""
        if self._units[name].state == "running":
            self.change(name, changes)

    def _start(self, done: int, total: int) -> None:
        interval = 0.2 if sys.stderr.isatty() else 10.0
        title = f"{self._state.title:<{TITLE_WIDTH}}"
        self._bar = tqdm(
            total=total, initial=done, desc=title, unit=self._state.unit, mininterval=interval
        )
        self._state = self._state.model_copy(update={"before": done, "started": time.time()})

    def _note_finished(self, total: int) -> None:
        """Write the progress of a stage that has nothing to do, unless its file says so already."""
        counts = {"done": total, "total": total, "before": total, "started": time.time()}
        self._state = self._state.model_copy(update=counts)
        if self._units or not self._is_noted():
            self._write(finished=True)

    def _is_noted(self) -> bool:
        name = progress_file(self._state.stage)
        if not self._store.exists(name):
            return False
        try:
            return read_progress(self._store, name).finished
        except InputError:
            return False

    def _write(self, *, finished: bool) -> None:
        changes = {
            "units": tuple(self._units.values()),
            "updated": time.time(),
            "finished": finished,
        }
        self._state = self._state.model_copy(update=changes)
        started = time.monotonic()
        try:
            write_progress(self._store, self._state)
        except OSError as error:
            # Progress may be lost, but it must not stop the work.
            LOG.warning("progress of %s is not written: %s", self._state.title, error)
        ended = time.monotonic()
        self._next_write = ended + max(SECONDS_BETWEEN_WRITES, WORK_PER_WRITE * (ended - started))


def note(title: str, text: str) -> None:
    """Print one line in the layout of the bars."""
    print(f"{title:<{TITLE_WIDTH}}: {text}", flush=True)
