"""Progress of a stage: one bar on the terminal, and one small file in `logs/` for the page."""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
    write_units,
)

LOG = logging.getLogger(__name__)
TITLE_WIDTH = 34
SECONDS_BETWEEN_WRITES = 1.0
WORK_PER_WRITE = 100
"""Pause between two writes, as a multiple of the time of one write.

With a slow store or ten thousand units, writing then takes at most a hundredth of the time.
"""
UNITS_IN_ONE_FILE = 2000
"""A stage of more units has a file of all units, and one of those that have changed since. The
second is small, so that its counts are news after a second; the first has 40 MB for 100,000 units,
and is written about once in a minute."""

FAILURES_TOLD = 100
"""Failures that are printed while a stage runs."""
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
        self._changed: set[str] | None = None
        """Units that have changed since the file of all units was written; None before."""
        self._ended = 0
        self._bar: tqdm[Any] | None = None
        self._next_write = 0.0
        self._next_units = 0.0
        self._failures_told = 0

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
            is_finished = error is None and self._state.done == self._state.total
            self._write(finished=is_finished, is_last=True)

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
        self._changed = None
        self._ended = sum(unit.state in ENDED for unit in units)
        self.show(self._ended, len(units))

    def change(self, name: str, changes: Mapping[str, Any]) -> None:
        """Show that the state of one unit has changed, by the names of `UnitProgress`."""
        before = self._units[name]
        after = self._units[name] = before.model_copy(update=changes)
        if self._changed is not None:
            self._changed.add(name)
        self._ended += (after.state in ENDED) - (before.state in ENDED)
        if after.state == "failed" and before.state != "failed":
            # At once: if all units fail for one reason, the user need not wait for the end.
            self._tell_failure(f"{name}: {after.message}")
        self.show(self._ended, len(self._units))

    def _tell_failure(self, sentence: str) -> None:
        self._failures_told += 1
        if self._failures_told <= FAILURES_TOLD:
            tqdm.write(f"{'failed':<{TITLE_WIDTH}}: {sentence}")
        if self._failures_told == FAILURES_TOLD:
            more = "further failures are not printed here; `otcondense status` has them"
            tqdm.write(f"{'failed':<{TITLE_WIDTH}}: {more}")

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
            self._write(finished=True, is_last=True)

    def _is_noted(self) -> bool:
        name = progress_file(self._state.stage)
        if not self._store.exists(name):
            return False
        try:
            return read_progress(self._store, name).finished
        except InputError:
            return False

    def _write(self, *, finished: bool, is_last: bool = False) -> None:
        is_large = len(self._units) > UNITS_IN_ONE_FILE
        changes = {"updated": time.time(), "finished": finished, "has_units_file": is_large}
        self._state = self._state.model_copy(update=changes)
        try:
            units = self._changed_units(is_last=is_last) if is_large else self._units.values()
            state = self._state.model_copy(update={"units": tuple(units)})
            self._next_write = _paced(lambda: write_progress(self._store, state), is_large=is_large)
        except OSError as error:
            # Progress may be lost, but it must not stop the work.
            LOG.warning("progress of %s is not written: %s", self._state.title, error)
            self._next_write = time.monotonic() + SECONDS_BETWEEN_WRITES

    def _changed_units(self, *, is_last: bool) -> list[UnitProgress]:
        """Return the units that the file of all units does not have as they are; write it if due.

        Raises: OSError if it cannot be written.
        """
        if self._changed is None or is_last or time.monotonic() >= self._next_units:
            units = tuple(self._units.values())
            write = partial(write_units, self._store, self._state.stage, units)
            self._next_units = _paced(write, is_large=True)
            self._changed = set()
        return [self._units[name] for name in sorted(self._changed)]


def _paced(write: Callable[[], None], *, is_large: bool) -> float:
    """Write a file; return when to do so again (`time.monotonic`)."""
    started = time.monotonic()
    write()
    ended = time.monotonic()
    shares = 2 if is_large else 1  # two files share the time that writing may take
    return ended + max(SECONDS_BETWEEN_WRITES, shares * WORK_PER_WRITE * (ended - started))


def note(title: str, text: str) -> None:
    """Print one line in the layout of the bars."""
    print(f"{title:<{TITLE_WIDTH}}: {text}", flush=True)
