"""A thousand classes through the pool: the cost of scheduling and progress, and scaling.

`python -m benchmarks.scheduling [--quick]`

Real runs with one and two actors measure the work on each class, inside the actor, and the overhead
of the pool. The same scheduling code then replays these times with simulated workers: each dispatch
takes the measured time of the driver, one after another, and each class its measured work and
latency. The driver's time is from the run with one actor, which leaves it a core of its own, as a
cluster does. Two actors on two cores would make the driver wait for them.
"""

import argparse
import heapq
import logging
import tempfile
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from actors.pool import Pool, PoolConfig
from actors.selection_unit import SelectionUnit
from actors.units import Unit, UnitChanges
from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from benchmarks.timed_pool import TimedProgress, TimedSelector, WaitClock
from jobs.cluster.start import start_ray
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.select_subset.stage import run_pool
from otcondense.store import ClassFeatures, UnitProgress, write_class_features

SMALLEST = 732
LARGEST = 1300
"""Images in the smallest and the largest class of ImageNet."""
WIDTH = 64
BUDGET = 10
WORKERS = (1, 2, 4, 8, 16, 32, 64)
METHOD = "geometry_aware"
CLASSES = 1000
QUICK_CLASSES = 40
CLASSES_OF_ONE_ACTOR = 100
"""The run with one actor takes this many of the classes."""
DRIVER_CORES = 1


@dataclass
class Measured:
    """One real run."""

    work: dict[str, float]
    """Seconds inside the actor, by unit."""
    reports: float
    """Seconds of the work that reports took."""
    progress: float
    """Seconds of the driver that the bar and its file took."""
    wall: float
    """Seconds from the first dispatch to the last result, without the start of actors."""
    waited: float
    """Seconds of `wall` in which the driver waited for actors."""
    start: float
    """Seconds from the request for actors to the first dispatch."""
    num_actors: int

    @property
    def overhead(self) -> float:
        """Seconds of an actor's time for each class in addition to its work."""
        return (self.num_actors * self.wall - sum(self.work.values())) / len(self.work)

    @property
    def dispatch(self) -> float:
        """Seconds of the driver that each class took."""
        return (self.wall - self.waited) / len(self.work)


def make_units(run: Run, classes: int) -> list[SelectionUnit]:
    """Write the features of synthetic classes, the largest first."""
    sizes = np.random.default_rng(0).integers(SMALLEST, LARGEST + 1, size=classes).tolist()
    directory = run.features_directory(run.config.encoder)
    units = []
    for number, size in enumerate(sorted(sizes, reverse=True)):
        features = make_features(number, size)
        write_class_features(run.store, directory, features, fingerprint="f")
        units.append(
            SelectionUnit(
                name=f"{METHOD}, class {features.class_name}",
                subset=METHOD,
                method=METHOD,
                class_name=features.class_name,
                size=size,
                settings={"budget": BUDGET, "lower_bound": None, "rebuilds": 0},
                difficulty_directory=None,
                directory="selection",
                fingerprint="f",
            )
        )
    return units


def make_features(number: int, size: int) -> ClassFeatures:
    """Draw the features of a class."""
    data = synthetic_class(size, WIDTH, seed=number)
    return ClassFeatures(
        class_name=f"c{number:04d}",
        class_index=number,
        image_ids=[f"{row:05d}" for row in range(size)],
        features=data.features.astype(np.float32),
        logits=None,
        cross_entropy=None,
        entropy=None,
        max_prob=None,
        width=np.zeros(size, np.int32),
        height=np.zeros(size, np.int32),
        sha256=[""] * size,
    )


def real_run(run: Run, units: list[SelectionUnit], num_actors: int) -> Measured:
    """Select all units with real actors."""
    own_units = [replace(unit, directory=f"selection/{num_actors}") for unit in units]
    pool = PoolConfig(num_actors=num_actors)
    run = Run(
        run.config.model_copy(
            update={"selection": run.config.selection.model_copy(update={"pool": pool})}
        )
    )
    clock = WaitClock()
    progress = TimedProgress(run.store, SELECTION_BAR._replace(title=f"{num_actors} actors"))
    with progress:
        progress.follow(
            [
                UnitProgress(name=unit.name, class_name=unit.class_name, size=unit.size)
                for unit in own_units
            ]
        )
        with clock:
            outcome = run_pool(run, own_units, progress, TimedSelector)
        spent = progress.spent
    assert not outcome.failures, outcome.failures
    return Measured(
        work=progress.work,
        reports=progress.reports,
        progress=spent,
        wall=clock.ended - clock.begun,
        waited=clock.waited,
        start=clock.begun - clock.requested,
        num_actors=num_actors,
    )


@dataclass
class SimulatedBackend:
    """Workers with a virtual clock and the measured times."""

    seconds: dict[str, float]
    """Seconds of each unit at its worker."""
    dispatch: float
    """Seconds of the driver for each unit."""
    clock: float = 0.0
    _events: list[tuple[float, int]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def _pending(self, end: float) -> int:
        number = next(self._numbers)
        heapq.heappush(self._events, (end, number))
        return number

    def start_worker(self) -> tuple[int, int]:
        return 0, self._pending(self.clock)

    def submit(self, worker: int, unit: Unit) -> int:  # noqa: ARG002
        self.clock += self.dispatch
        return self._pending(self.clock + self.seconds[unit.name])

    def wait(self, pending: Collection[int], seconds: float) -> list[int]:  # noqa: ARG002
        end, number = self._events[0]
        if end > self.clock + seconds:
            self.clock += seconds
            return []
        heapq.heappop(self._events)
        self.clock = max(self.clock, end)
        return [number]

    def result(self, pending: int) -> UnitChanges:  # noqa: ARG002
        return {}

    def cancel(self, pending: int) -> None:
        raise AssertionError(f"no deadline is set, but unit {pending} was cancelled")

    def stop_worker(self, worker: int) -> None:
        pass

    def now(self) -> float:
        return self.clock


def replayed_efficiency(
    work: dict[str, float], driver: Measured, units: list[SelectionUnit], num_workers: int
) -> float:
    """Return the share of work in the time of all workers.

    The time is from the first dispatch to the last result.
    """
    latency = max(0.0, driver.overhead - driver.dispatch)
    seconds = {name: own + latency for name, own in work.items()}
    backend = SimulatedBackend(seconds, driver.dispatch)
    Pool(backend, PoolConfig(num_actors=num_workers)).run(units)
    return sum(work.values()) / (num_workers * backend.clock)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="40 classes instead of 1,000")
    classes = QUICK_CLASSES if parser.parse_args().quick else CLASSES
    logging.getLogger("ray").setLevel(logging.ERROR)
    started = time.perf_counter()
    start_ray(num_cpus=2 + DRIVER_CORES)
    ray_start = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as root:
        config = RunConfig(
            run=str(Path(root) / "run"),
            source={"kind": "features", "path": root},
            confidence={"kind": "none"},
        )
        run = Run(config)
        units = make_units(run, classes)
        two = real_run(run, units, 2)
        one = real_run(run, units[:: max(1, classes // CLASSES_OF_ONE_ACTOR)], 1)
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
    if classes == CLASSES:  # fewer classes make too few rounds of 64 workers to judge the loop
        bounds["replayed_efficiency_64"] = {"at_least": 0.95}
    raise SystemExit(0 if finish("scheduling", figures, bounds) else 1)


if __name__ == "__main__":
    main()
