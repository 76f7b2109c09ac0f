"""The pool survives dead actors and failing units, and stops units that time out."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray

from actors.pool import Pool, PoolConfig
from actors.reporter import Reporter
from actors.workers import RayBackend
from otcondense.errors import InputError
from otcondense.selection import Moment

pytestmark = pytest.mark.slow

DEADLINE_SECONDS = 8.0
"""Longer than an actor takes to start on a busy machine."""
TIMED_OUT = "timed out after 8 s (deadline_seconds)"


@dataclass(frozen=True)
class FakeUnit:
    """A unit that says what its worker does."""

    name: str
    value: int = 0
    deaths: int = 0
    """Attempts in which the worker dies."""
    action: str = "square"
    """One of square, hang, loop, mistake and bug."""


@ray.remote(num_cpus=0.5)
class Worker:
    """Does what each unit says, and returns the square of its value as the number of swaps."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def run(self, unit: FakeUnit) -> dict:
        visits = len(list(self._directory.glob(f"{unit.name}-*")))
        (self._directory / f"{unit.name}-{visits}").touch()
        if unit.deaths > visits:
            os._exit(1)
        if unit.action == "hang":
            time.sleep(600)
        reporter = Reporter(None, unit.name)
        while unit.action == "loop":
            reporter(Moment("swaps"))
            time.sleep(0.02)
        if unit.action == "mistake":
            raise InputError("budget must be at most 3, found 4")
        if unit.action == "bug":
            raise KeyError("x")
        return {"swaps": unit.value**2}


def numbered(count: int) -> list[FakeUnit]:
    return [FakeUnit(f"u{number}", value=number) for number in range(count)]


def run_pool(directory: Path, units: list[FakeUnit], **settings: float):
    seen: list[tuple[str, str]] = []
    config = PoolConfig(**{"num_actors": 2, "num_cpus": 0.5, "max_attempts": 3, **settings})
    pool = Pool(RayBackend.of(Worker, config, str(directory)), config)
    return pool.run(units, lambda name, changes: seen.append((name, changes["state"]))), seen


@pytest.mark.parametrize("num_actors", [1, 2])
def test_every_unit_is_done_once(ray_cluster: None, tmp_path: Path, num_actors: int) -> None:
    outcome, seen = run_pool(tmp_path, numbered(7), num_actors=num_actors)
    assert outcome.results == {f"u{i}": {"swaps": i * i} for i in range(7)}
    assert sorted(seen) == sorted(
        (f"u{i}", state) for i in range(7) for state in ("running", "done")
    )
    assert not outcome.failures
    assert len(list(tmp_path.iterdir())) == 7


def test_a_unit_is_retried_if_its_actor_dies(ray_cluster: None, tmp_path: Path) -> None:
    units = [
        FakeUnit("a", value=2, deaths=2),
        FakeUnit("b", value=3),
        FakeUnit("c", value=4, deaths=9),
    ]
    outcome, seen = run_pool(tmp_path, units)
    assert outcome.results == {"a": {"swaps": 4}, "b": {"swaps": 9}}
    assert "worker died" in outcome.failures["c"]
    assert outcome.num_requeued == 4
    states = {name: [state for each, state in seen if each == name] for name in "abc"}
    assert states["a"] == ["running", "queued"] * 2 + ["running", "done"]
    assert states["c"] == ["running", "queued"] * 2 + ["running", "failed"]


def test_errors_are_recorded_and_the_other_units_continue(
    ray_cluster: None, tmp_path: Path
) -> None:
    units = [FakeUnit("a", action="mistake"), FakeUnit("b", action="bug"), FakeUnit("c", value=1)]
    outcome, _ = run_pool(tmp_path, units)
    assert outcome.failures == {"a": "budget must be at most 3, found 4", "b": "KeyError: 'x'"}
    assert outcome.results == {"c": {"swaps": 1}}


def test_a_unit_that_hangs_times_out_and_the_other_units_continue(
    ray_cluster: None, tmp_path: Path
) -> None:
    units = [FakeUnit("a", action="hang"), *numbered(4)]
    outcome, seen = run_pool(
        tmp_path, units, num_actors=1, deadline_seconds=DEADLINE_SECONDS, grace_seconds=0.5
    )
    assert outcome.failures == {"a": TIMED_OUT}
    assert len(outcome.results) == 4
    assert [state for name, state in seen if name == "a"] == ["running", "failed"]


def test_a_unit_that_reports_stops_at_its_deadline_and_keeps_its_actor(
    ray_cluster: None, tmp_path: Path
) -> None:
    started = []

    def make_actor():
        started.append(Worker.remote(str(tmp_path)))
        return started[-1]

    config = PoolConfig(num_actors=1, deadline_seconds=DEADLINE_SECONDS, grace_seconds=60.0)
    units = [FakeUnit("a", action="loop"), FakeUnit("b", value=3)]
    outcome = Pool(RayBackend(make_actor), config).run(units)
    assert outcome.failures == {"a": TIMED_OUT}
    assert outcome.results == {"b": {"swaps": 9}}
    assert len(started) == 1


def test_an_interruption_stops_running_units_and_queues_them_again(
    ray_cluster: None, tmp_path: Path
) -> None:
    seen: list[tuple[str, str]] = []

    def interrupt() -> None:
        if list(tmp_path.iterdir()):
            raise KeyboardInterrupt

    backend = RayBackend(lambda: Worker.remote(str(tmp_path)))
    pool = Pool(backend, PoolConfig(num_actors=1, grace_seconds=60.0))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pool.run(
            [FakeUnit("a", action="loop"), FakeUnit("b", value=1)],
            lambda name, changes: seen.append((name, changes["state"])),
            interrupt,
        )
    assert seen == [("a", "running"), ("a", "queued")]
    assert time.monotonic() - started < 50, "the unit was not cancelled"


def test_units_fail_with_the_reason_if_workers_cannot_start(ray_cluster: None) -> None:
    @ray.remote(num_cpus=0.5)
    class Broken:
        def __init__(self) -> None:
            raise InputError("weights must be a file, found nothing")

        def run(self, unit: FakeUnit) -> dict:
            return {}

    outcome = Pool(RayBackend(Broken.remote), PoolConfig(num_actors=2, max_attempts=2)).run(
        [FakeUnit("a"), FakeUnit("b")]
    )
    assert set(outcome.failures) == {"a", "b"}
    assert all(
        "weights must be a file, found nothing" in reason for reason in outcome.failures.values()
    )


def test_no_actor_is_started_without_units() -> None:
    def no_actor() -> None:
        raise AssertionError("an actor was started without a unit")

    assert Pool(RayBackend(no_actor), PoolConfig()).run([]).results == {}
