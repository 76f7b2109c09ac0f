"""A thousand classes through the pool: what scheduling and progress cost, and how far the same loop scales.

`python -m benchmarks.scheduling [--quick]`

Real runs with one and two actors measure each class's work, inside the actor, and what the pool takes beside it. The
same scheduling code then replays these times with simulated workers: each dispatch takes the measured time of the driver,
one after another, and each class its measured work and latency. The driver's time is that of the run with one actor, which
leaves it a core of its own, as a cluster does; two actors on two cores make it wait for them.
"""

import argparse
import heapq
import logging
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import ray

import actors.selector
from actors.crew import RayCrew, Unit
from actors.pool import Pool, PoolConfig
from actors.reporter import Reporter
from actors.selector import ClassSelector
from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.run_directory.stages import SELECTION_BAR
from jobs.select_subset.stage import run_pool
from otcondense.selection import Moment
from otcondense.store import ClassFeatures, UnitProgress, write_class_features

SMALLEST, LARGEST, WIDTH, BUDGET = 732, 1300, 64, 10
WORKERS = (1, 2, 4, 8, 16, 32, 64)
METHOD = "geometry_aware"


class TimedReporter(Reporter):
    """A reporter that knows how long it took."""

    seconds = 0.0

    def __call__(self, moment: Moment) -> None:
        started = time.perf_counter()
        super().__call__(moment)
        TimedReporter.seconds += time.perf_counter() - started


@ray.remote
class TimedSelector(ClassSelector):
    """A selector that measures its own work and what it spends on reports."""

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        actors.selector.Reporter = TimedReporter  # type: ignore[misc]
        started, TimedReporter.seconds = time.perf_counter(), 0.0
        result = super().run(unit)
        return result | {
            "work_seconds": time.perf_counter() - started,
            "report_seconds": TimedReporter.seconds,
        }


class TimedProgress(Progress):
    """A progress that knows how long the driver spent on it."""

    spent = 0.0

    def show(self, done: int, total: int, **figures: float) -> None:
        started = time.perf_counter()
        super().show(done, total, **figures)
        self.spent += time.perf_counter() - started

    def change(self, name: str, changes: dict[str, Any]) -> None:
        known = {key: value for key, value in changes.items() if not key.endswith("_seconds")}
        super().change(name, known)


@dataclass
class Measured:
    """One real run."""

    work: dict[str, float]
    """Seconds inside the actor, by unit."""
    reports: float
    """Seconds of it that reports took."""
    progress: float
    """Seconds of the driver that the bar and its file took."""
    wall: float
    """Seconds from the first dispatch to the last result, without the start of actors."""
    waited: float
    """Seconds of it in which the driver waited for actors."""
    start: float
    """Seconds from asking for the actors to the first dispatch."""
    num_actors: int

    @property
    def overhead(self) -> float:
        """Seconds of an actor's time that each class took beside its work."""
        return (self.num_actors * self.wall - sum(self.work.values())) / len(self.work)

    @property
    def dispatch(self) -> float:
        """Seconds of the driver that each class took."""
        return (self.wall - self.waited) / len(self.work)


def make_units(run: Run, classes: int) -> list[Unit]:
    """Write the features of synthetic classes, the largest first."""
    sizes = sorted(
        np.random.default_rng(0).integers(SMALLEST, LARGEST + 1, size=classes).tolist(),
        reverse=True,
    )
    directory, units = run.features_directory(run.config.encoder), []
    for number, size in enumerate(sizes):
        data = synthetic_class(size, WIDTH, seed=number)
        image_ids = [f"{row:05d}" for row in range(size)]
        none, pixels = None, np.zeros(size, np.int32)
        features = ClassFeatures(
            f"c{number:04d}",
            number,
            image_ids,
            data.features.astype(np.float32),
            none,
            none,
            none,
            none,
            pixels,
            pixels,
            [""] * size,
        )
        write_class_features(run.store, directory, features, fingerprint="f")
        units.append(
            {"name": f"{METHOD}, class c{number:04d}", "class_name": f"c{number:04d}", "size": size}
        )
    return units


def real_run(run: Run, units: list[Unit], num_actors: int) -> Measured:
    """Select all units with real actors."""
    settings = {"budget": BUDGET, "lower_bound": None, "rebuilds": 0}
    shared = {
        "method": METHOD,
        "settings": settings,
        "difficulty": None,
        "directory": f"selection/{num_actors}",
        "fingerprint": "f",
    }
    pool = PoolConfig(num_actors=num_actors)
    run = Run(
        run.config.model_copy(
            update={"selection": run.config.selection.model_copy(update={"pool": pool})}
        )
    )
    clock = WaitClock()
    with TimedProgress(run.store, SELECTION_BAR.key, f"{num_actors} actors", "class") as progress:
        progress.follow(
            [
                UnitProgress(name=unit["name"], class_name=unit["class_name"], size=unit["size"])
                for unit in units
            ]
        )
        with clock:
            outcome = run_pool(run, [{**unit, **shared} for unit in units], progress, TimedSelector)
        spent = progress.spent
    assert not outcome.failures, outcome.failures
    results = outcome.results
    work = {name: result["work_seconds"] for name, result in results.items()}
    reports = sum(result["report_seconds"] for result in results.values())
    return Measured(
        work,
        reports,
        spent,
        clock.ended - clock.begun,
        clock.waited,
        clock.begun - clock.hired,
        num_actors,
    )


class WaitClock:
    """While it is entered, measures what `RayCrew` does between its first dispatch and its last result."""

    hired = begun = ended = waited = 0.0

    def __enter__(self) -> "WaitClock":
        self._hire, self._start, self._wait = RayCrew.hire, RayCrew.start, RayCrew.wait
        clock = self

        def hire(crew: RayCrew) -> tuple[Any, Any]:
            clock.hired = clock.hired or time.perf_counter()
            return clock._hire(crew)

        def start(crew: RayCrew, worker: Any, unit: Unit) -> Any:
            clock.begun = clock.begun or time.perf_counter()
            return clock._start(crew, worker, unit)

        def wait(crew: RayCrew, tickets: Collection[Any], seconds: float) -> list[Any]:
            entered = time.perf_counter()
            done = clock._wait(crew, tickets, seconds)
            clock.ended = time.perf_counter()
            clock.waited += clock.ended - entered if clock.begun else 0.0
            return done

        RayCrew.hire, RayCrew.start, RayCrew.wait = hire, start, wait  # type: ignore[method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        RayCrew.hire, RayCrew.start, RayCrew.wait = self._hire, self._start, self._wait  # type: ignore[method-assign]


@dataclass
class SimulatedCrew:
    """Workers of a virtual clock that take as long as was measured."""

    seconds: dict[str, float]
    """Of each unit at its worker."""
    dispatch: float
    """Of the driver for each unit."""
    clock: float = 0.0
    _events: list[tuple[float, int]] = field(default_factory=list)
    _numbers: Any = field(default_factory=count)

    def _ticket(self, end: float) -> int:
        number = next(self._numbers)
        heapq.heappush(self._events, (end, number))
        return number

    def hire(self) -> tuple[int, int]:
        return 0, self._ticket(self.clock)

    def start(self, worker: int, unit: Unit) -> int:  # noqa: ARG002
        self.clock += self.dispatch
        return self._ticket(self.clock + self.seconds[unit["name"]])

    def wait(self, tickets: Collection[int], seconds: float) -> list[int]:  # noqa: ARG002
        end, number = self._events[0]
        if end > self.clock + seconds:
            self.clock += seconds
            return []
        heapq.heappop(self._events)
        self.clock = max(self.clock, end)
        return [number]

    def result(self, ticket: int) -> dict[str, Any]:  # noqa: ARG002
        return {}

    def cancel(self, ticket: int) -> None:
        raise AssertionError(f"no deadline is set, but unit {ticket} was cancelled")

    def dismiss(self, worker: int) -> None:
        pass

    def now(self) -> float:
        return self.clock


def replayed_efficiency(
    work: dict[str, float], driver: Measured, units: list[Unit], num_workers: int
) -> float:
    """Return the share of all workers' time that is work, from the first dispatch to the last result."""
    latency = max(0.0, driver.overhead - driver.dispatch)
    crew = SimulatedCrew(
        {name: seconds + latency for name, seconds in work.items()}, driver.dispatch
    )
    Pool(crew, PoolConfig(num_actors=num_workers)).run(units)
    return sum(work.values()) / (num_workers * crew.clock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40 classes in place of 1,000")
    classes = 40 if parser.parse_args().quick else 1000
    logging.getLogger("ray").setLevel(logging.ERROR)
    started = time.perf_counter()
    start_ray(num_cpus=3)
    ray_start = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as root:
        config = RunConfig(
            run=str(Path(root) / "run"),
            source={"kind": "features", "path": root},
            confidence={"kind": "none"},
        )
        run = Run(config)
        units = make_units(run, classes)
        two, one = real_run(run, units, 2), real_run(run, units[:: max(1, classes // 100)], 1)
    figures: dict[str, Any] = {
        "classes": classes,
        "ray_start_seconds": ray_start,
        "actors_start_seconds": two.start,
        "work_ms_per_class": 1000 * sum(two.work.values()) / classes,
        "overhead_ms_per_class": 1000 * two.overhead,
        "dispatch_ms_per_class": 1000 * one.dispatch,
        "dispatch_ms_per_class_2": 1000 * two.dispatch,
        "reports_percent_of_work": 100 * two.reports / sum(two.work.values()),
        "progress_percent_of_driver": 100 * two.progress / two.wall,
        "real_efficiency_1": sum(one.work.values()) / one.wall,
        "real_efficiency_2": sum(two.work.values()) / (2 * two.wall),
    }
    figures |= {
        f"replayed_efficiency_{number}": replayed_efficiency(two.work, one, units, number)
        for number in WORKERS
    }
    for name, value in figures.items():
        print(f"{name:<30}{value:>12.4g}")
    bounds = {
        "overhead_ms_per_class": {"at_most": 50.0},
        "reports_percent_of_work": {"at_most": 1.0},
        "progress_percent_of_driver": {"at_most": 1.0},
    }
    if classes == 1000:  # fewer classes than rounds of 64 workers say nothing about the loop
        bounds["replayed_efficiency_64"] = {"at_least": 0.95}
    raise SystemExit(0 if finish("scheduling", figures, bounds) else 1)


if __name__ == "__main__":
    main()
