"""The pool with workers that start late or not at all: a simulated backend with its own clock."""

from collections.abc import Collection
from dataclasses import dataclass

import pytest

from actors.pool import Pool, PoolConfig, PoolOutcome
from actors.units import UnitChanges
from actors.workers import WorkerLost

UNITS = 8
UNIT_SECONDS = 1.0


@dataclass(frozen=True)
class NamedUnit:
    """A unit with nothing but a name."""

    name: str


@dataclass(frozen=True)
class Start:
    """The start of one worker."""

    seconds: float
    succeeds: bool


@dataclass(frozen=True)
class Event:
    """The end of a start or a unit."""

    time: float
    succeeds: bool


class SimulatedBackend:
    """The n-th worker starts, or is lost, as the n-th start says; the last start repeats."""

    def __init__(self, starts: list[Start]) -> None:
        self._starts = starts
        self._events: list[Event] = []
        self.started = 0
        self.clock = 0.0

    def _pending(self, seconds: float, *, succeeds: bool) -> int:
        self._events.append(Event(self.clock + seconds, succeeds))
        return len(self._events) - 1

    def start_worker(self) -> tuple[int, int]:
        start = self._starts[min(self.started, len(self._starts) - 1)]
        self.started += 1
        return self.started, self._pending(start.seconds, succeeds=start.succeeds)

    def submit(self, worker: int, unit: NamedUnit) -> int:
        return self._pending(UNIT_SECONDS, succeeds=True)

    def wait(self, pending: Collection[int], seconds: float) -> list[int]:
        assert pending, "there is nothing to wait for"
        first = min(self._events[each].time for each in pending)
        if first > self.clock + seconds:
            self.clock += seconds
            return []
        self.clock = max(self.clock, first)
        return [each for each in pending if self._events[each].time <= self.clock]

    def result(self, pending: int) -> UnitChanges:
        if not self._events[pending].succeeds:
            raise WorkerLost("its node has no disk")
        return {}

    def cancel(self, pending: int) -> None: ...

    def stop_worker(self, worker: int) -> None: ...

    def now(self) -> float:
        return self.clock


def run(backend: SimulatedBackend) -> PoolOutcome:
    units = [NamedUnit(f"u{number}") for number in range(UNITS)]
    return Pool(backend, PoolConfig(num_actors=UNITS)).run(units)


def test_workers_that_start_late_take_the_units_of_a_bad_node() -> None:
    outcome = run(SimulatedBackend([*[Start(1.0, False)] * 3, *[Start(20.0, True)] * 5]))
    assert len(outcome.results) == UNITS
    assert not outcome.failures


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_the_pool_gives_up_if_no_worker_starts(seconds: float) -> None:
    backend = SimulatedBackend([Start(seconds, False)])
    outcome = run(backend)
    assert set(outcome.failures.values()) == {"no worker could be started: its node has no disk"}
    assert len(outcome.failures) == UNITS
    assert backend.started <= UNITS + 3, "eight, and two more before the third failure"


def test_the_number_of_starts_is_limited_with_a_bad_node_and_a_slow_one() -> None:
    backend = SimulatedBackend([*[Start(1.0, False)] * 3, Start(600.0, True), Start(1.0, False)])
    outcome = run(backend)
    assert len(outcome.results) == UNITS
    assert backend.started < 5 * UNITS
