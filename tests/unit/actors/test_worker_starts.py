"""The pool's loop with workers that do not all arrive: a crew on a clock of its own, without Ray."""

import pytest

from actors.crew import WorkerLost
from actors.pool import Pool, PoolConfig, PoolOutcome


class Hall:
    """A crew whose n-th worker arrives, or is lost, when the list says; units take a second."""

    def __init__(self, arrivals: list[tuple[float, bool]]) -> None:
        self._arrivals, self.hired, self.clock = arrivals, 0, 0.0
        self._ends: dict[int, tuple[float, bool]] = {}

    def _ticket(self, seconds: float, is_well: bool) -> int:
        self._ends[len(self._ends)] = (self.clock + seconds, is_well)
        return len(self._ends) - 1

    def hire(self) -> tuple[int, int]:
        seconds, is_well = self._arrivals[min(self.hired, len(self._arrivals) - 1)]
        self.hired += 1
        return self.hired, self._ticket(seconds, is_well)

    def start(self, worker: int, unit: dict) -> int:
        return self._ticket(1.0, is_well=True)

    def wait(self, tickets: list[int], seconds: float) -> list[int]:
        assert tickets, "there is nothing to wait for"
        first = min(self._ends[each][0] for each in tickets)
        if first > self.clock + seconds:
            self.clock += seconds
            return []
        self.clock = max(self.clock, first)
        return [each for each in tickets if self._ends[each][0] <= self.clock]

    def result(self, ticket: int) -> dict:
        if not self._ends[ticket][1]:
            raise WorkerLost("its node has no disk")
        return {}

    def cancel(self, ticket: int) -> None: ...

    def dismiss(self, worker: int) -> None: ...

    def now(self) -> float:
        return self.clock


def run(arrivals: list[tuple[float, bool]]) -> tuple[PoolOutcome, Hall]:
    hall = Hall(arrivals)
    return Pool(hall, PoolConfig(num_actors=8)).run(
        [{"name": f"u{number}"} for number in range(8)]
    ), hall


def test_workers_that_arrive_late_do_what_those_of_a_bad_node_could_not() -> None:
    outcome, _ = run([*[(1.0, False)] * 3, *[(20.0, True)] * 5])
    assert len(outcome.results) == 8
    assert not outcome.failures


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_nobody_is_asked_for_ever(seconds: float) -> None:
    outcome, hall = run([(seconds, False)])
    assert set(outcome.failures.values()) == {"no worker could be started: its node has no disk"}
    assert len(outcome.failures) == 8
    assert hall.hired <= 11, "eight, and two more before the third failure"


def test_a_bad_node_beside_a_slow_one_is_not_asked_for_ever() -> None:
    outcome, hall = run([*[(1.0, False)] * 3, (600.0, True), (1.0, False)])
    assert len(outcome.results) == 8
    assert hall.hired < 40
