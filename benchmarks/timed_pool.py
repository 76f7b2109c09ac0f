"""A pool that times its workers, progress and backend, for `benchmarks.scheduling`.

A module of its own: Ray sends the classes of a main module by value, which typed dictionaries
cannot be.
"""

import time
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import ray
from ray.actor import ActorHandle

from actors.polish_unit import PolishUnit
from actors.reporter import Reporter
from actors.selection_unit import SelectionUnit
from actors.selector import ClassSelector
from actors.units import Unit, UnitChanges
from actors.workers import RayBackend
from jobs.command.progress import Progress
from jobs.run_directory.bars import Bar
from otcondense.selection import Moment
from otcondense.store import FeatureView, Store


class TimedChanges(UnitChanges, total=False):
    """The result of a unit, with the times of its worker."""

    work_seconds: float
    report_seconds: float


class TimedReporter(Reporter):
    """A reporter that measures its own time."""

    seconds = 0.0

    def __call__(self, moment: Moment) -> None:
        started = time.perf_counter()
        super().__call__(moment)
        self.seconds += time.perf_counter() - started


@ray.remote
class TimedSelector(ClassSelector):
    """A selector that measures its own work and the time of its reports."""

    def __init__(
        self,
        root: str,
        features: FeatureView,
        confidence_directory: str | None,
        board: ActorHandle[Any],
    ) -> None:
        super().__init__(root, features, confidence_directory, watcher_of=self._watch)
        self._board = board

    def _watch(self, name: str) -> TimedReporter:
        self._reporter = TimedReporter(self._board, name)
        return self._reporter

    def run(self, unit: SelectionUnit | PolishUnit) -> TimedChanges:
        started = time.perf_counter()
        result = super().run(unit)
        return {
            **result,
            "work_seconds": time.perf_counter() - started,
            "report_seconds": self._reporter.seconds,
        }


class TimedProgress(Progress):
    """A progress that measures the driver's time for it, and keeps the times of the workers."""

    def __init__(self, store: Store, bar: Bar) -> None:
        super().__init__(store, *bar)
        self.spent = 0.0
        self.work: dict[str, float] = {}
        """Seconds inside the actor, by unit."""
        self.reports = 0.0

    def show(self, done: int, total: int, **figures: float) -> None:
        started = time.perf_counter()
        super().show(done, total, **figures)
        self.spent += time.perf_counter() - started

    def change(self, name: str, changes: Mapping[str, Any]) -> None:
        known = dict(changes)
        if changes.get("state") == "done":
            self.work[name] = known.pop("work_seconds")
            self.reports += known.pop("report_seconds")
        super().change(name, known)


class WaitClock:
    """While entered, times `RayBackend` between its first dispatch and its last result."""

    requested = 0.0
    begun = 0.0
    ended = 0.0
    waited = 0.0

    def __enter__(self) -> "WaitClock":
        self._patches = ExitStack()
        real_start = RayBackend.start_worker
        real_submit = RayBackend.submit
        real_wait = RayBackend.wait

        def start_worker(backend: RayBackend) -> tuple[Any, Any]:
            self.requested = self.requested or time.perf_counter()
            return real_start(backend)

        def submit(backend: RayBackend, worker: Any, unit: Unit) -> Any:
            self.begun = self.begun or time.perf_counter()
            return real_submit(backend, worker, unit)

        def wait(backend: RayBackend, pending: Collection[Any], seconds: float) -> list[Any]:
            entered = time.perf_counter()
            done = real_wait(backend, pending, seconds)
            self.ended = time.perf_counter()
            self.waited += self.ended - entered if self.begun else 0.0
            return done

        for timed in (start_worker, submit, wait):
            self._patches.enter_context(patch.object(RayBackend, timed.__name__, timed))
        return self

    def __exit__(self, *_: object) -> None:
        self._patches.close()
