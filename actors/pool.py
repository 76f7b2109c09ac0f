"""A pool of long-lived workers, and the loop that submits units of work to them.

Ray's own `ActorPool` stops at the first dead worker. This pool queues the unit of a dead worker
again. If a unit fails, it records the error and continues with the others. If a unit exceeds its
deadline, it stops the unit. The loop uses its workers only through a `WorkerBackend`, so that
benchmarks can replay it with simulated workers.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic

from actors.pool_config import PoolConfig
from actors.units import INTERRUPTED, Unit, UnitChanges
from actors.workers import (
    PendingT,
    UnitCancelled,
    UnitFailed,
    WorkerBackend,
    WorkerLost,
    WorkerT,
)
from otcondense.errors import InputError

__all__ = ["OnChange", "Pool", "PoolConfig", "PoolOutcome", "refuse_failures"]

OnChange = Callable[[str, UnitChanges], None]
"""Called with the name of a unit and its changes."""
SHOWN_UNITS = 10
"""Units that a message lists for one reason; if no worker starts, all of hundreds have the same."""
TICK_SECONDS = 1.0
"""The longest time between two calls of `on_tick`; progress on the page is no older than this."""


@dataclass
class PoolOutcome:
    """Results and failures by the name of the unit."""

    results: dict[str, UnitChanges] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """Reasons, as sentences for the user."""
    num_requeued: int = 0


@dataclass
class _Call(Generic[WorkerT]):
    """A unit that a worker is working on."""

    worker: WorkerT
    unit: Unit
    started: float
    deadline: float
    """When to cancel the unit; once it is cancelled, when to kill its worker."""
    is_cancelled: bool = False


def _ignore_change(_name: str, _changes: UnitChanges) -> None:
    pass


def _ignore_tick() -> None:
    pass


class Pool(Generic[WorkerT, PendingT]):
    """Submits units of work to workers.

    The results do not depend on which worker gets which unit, or on the order in which they end.
    """

    def __init__(self, backend: WorkerBackend[WorkerT, PendingT], config: PoolConfig) -> None:
        self._backend = backend
        self._config = config
        assert config.num_actors is not None, "the cluster decides it first"
        self._num_actors = config.num_actors
        self._starting: dict[PendingT, WorkerT] = {}
        self._idle: list[WorkerT] = []
        self._calls: dict[PendingT, _Call[WorkerT]] = {}
        self._queue: deque[Unit] = deque()
        self._attempts: Counter[str] = Counter()
        self._failed_starts = 0
        self._start_error = ""
        self._outcome = PoolOutcome()
        self._on_change: OnChange = _ignore_change

    def run(
        self,
        units: Sequence[Unit],
        on_change: OnChange = _ignore_change,
        on_tick: Callable[[], None] = _ignore_tick,
    ) -> PoolOutcome:
        """Work on all units in their order.

        Args:
            units: the units; their names must be unique.
            on_change: called when a unit starts, ends or is queued again.
            on_tick: called at least once a second while there is work.

        Returns: a result or a failure for each unit.
        """
        assert len({unit.name for unit in units}) == len(units), "unit names must be unique"
        self._on_change = on_change
        self._queue.extend(units)
        try:
            while self._queue or self._calls:
                self._start_workers()
                self._submit_queued()
                if not (self._calls or self._starting):
                    self._fail_queued()
                    break
                pending = [*self._calls, *self._starting]
                for completed in self._backend.wait(pending, self._timeout()):
                    self._complete(completed)
                self._enforce_deadlines()
                on_tick()
        finally:
            self._stop()
        return self._outcome

    def _start_workers(self) -> None:
        """Start workers up to the limit while there are more queued units than free workers."""
        wanted = min(len(self._queue), self._num_actors - len(self._calls))
        while (
            self._failed_starts < self._config.max_attempts
            and len(self._starting) + len(self._idle) < wanted
        ):
            worker, pending = self._backend.start_worker()
            self._starting[pending] = worker

    def _submit_queued(self) -> None:
        """Give each idle worker a unit."""
        while self._queue and self._idle:
            self._submit(self._idle.pop(), self._queue.popleft())

    def _submit(self, worker: WorkerT, unit: Unit) -> None:
        self._attempts[unit.name] += 1
        now = self._backend.now()
        deadline = now + (self._config.deadline_seconds or math.inf)
        pending = self._backend.submit(worker, unit)
        self._calls[pending] = _Call(worker, unit, started=now, deadline=deadline)
        self._on_change(
            unit.name,
            {"state": "running", "started": time.time(), "attempts": self._attempts[unit.name]},
        )

    def _complete(self, pending: PendingT) -> None:
        if pending in self._starting:
            self._worker_ready(pending)
            return

        call = self._calls.pop(pending)
        try:
            result = self._backend.result(pending)
        except WorkerLost as error:
            self._backend.stop_worker(call.worker)
            self._retry(call, str(error))
            return
        except UnitFailed as error:
            self._fail_call(call, str(error))
        except UnitCancelled:
            reason = self._timed_out() if call.is_cancelled else "cancelled from outside the run"
            self._fail_call(call, reason)
        else:
            self._succeed(call, result)
        self._idle.append(call.worker)

    def _succeed(self, call: _Call[WorkerT], result: UnitChanges) -> None:
        # Workers could not be started while a node was lost; now they may be again.
        self._failed_starts = 0
        self._outcome.results[call.unit.name] = result
        seconds = self._backend.now() - call.started
        done: UnitChanges = {"state": "done", "seconds": seconds, "message": ""}
        self._on_change(call.unit.name, {**done, **result})

    def _worker_ready(self, pending: PendingT) -> None:
        worker = self._starting.pop(pending)
        try:
            self._backend.result(pending)
        except (WorkerLost, UnitFailed) as error:
            self._backend.stop_worker(worker)
            self._failed_starts += 1
            self._start_error = str(error)
        else:
            self._failed_starts = 0
            self._idle.append(worker)

    def _fail_queued(self) -> None:
        """Fail all queued units: no worker is left and none can be started."""
        reason = f"no worker could be started: {self._start_error}"
        while self._queue:
            self._fail(self._queue.popleft(), reason, seconds=0.0)

    def _timeout(self) -> float:
        """Return the seconds until the next deadline, at most `TICK_SECONDS`."""
        first = min((call.deadline for call in self._calls.values()), default=math.inf)
        return max(0.0, min(TICK_SECONDS, first - self._backend.now()))

    def _enforce_deadlines(self) -> None:
        """Cancel the units that are past their deadline, and kill workers that do not react."""
        now = self._backend.now()
        for pending, call in list(self._calls.items()):
            if call.deadline > now:
                continue
            if call.is_cancelled:
                del self._calls[pending]
                self._backend.stop_worker(call.worker)
                self._fail_call(call, self._timed_out())
            else:
                self._backend.cancel(pending)
                call.is_cancelled = True
                call.deadline = now + self._config.grace_seconds

    def _timed_out(self) -> str:
        return f"timed out after {self._config.deadline_seconds:g} s (deadline_seconds)"

    def _retry(self, call: _Call[WorkerT], reason: str) -> None:
        name = call.unit.name
        if self._attempts[name] < self._config.max_attempts:
            self._outcome.num_requeued += 1
            self._queue.append(call.unit)
            self._on_change(name, {"state": "queued", "message": reason})
        else:
            self._fail_call(call, f"{reason} (tried {self._config.max_attempts} times)")

    def _fail_call(self, call: _Call[WorkerT], reason: str) -> None:
        self._fail(call.unit, reason, seconds=self._backend.now() - call.started)

    def _fail(self, unit: Unit, reason: str, *, seconds: float) -> None:
        self._outcome.failures[unit.name] = reason
        self._on_change(unit.name, {"state": "failed", "message": reason, "seconds": seconds})

    def _stop(self) -> None:
        """Stop all workers; units that are still running get the time to stop by themselves."""
        try:
            self._cancel_calls()
        finally:
            busy = [call.worker for call in self._calls.values()]
            for worker in [*self._idle, *self._starting.values(), *busy]:
                self._backend.stop_worker(worker)
            self._idle.clear()
            self._starting.clear()
            self._calls.clear()

    def _cancel_calls(self) -> None:
        for pending, call in self._calls.items():
            self._backend.cancel(pending)
            self._on_change(call.unit.name, {"state": "queued", "message": INTERRUPTED})

        remaining = set(self._calls)
        end = self._backend.now() + self._config.grace_seconds
        while remaining and self._backend.now() < end:
            remaining -= set(self._backend.wait(remaining, end - self._backend.now()))


def refuse_failures(outcome: PoolOutcome, total: int, what: str) -> None:
    """Raise InputError with every reason and its units, if a unit has failed.

    Args:
        outcome: the outcome of a pool.
        total: the number of all units.
        what: the units, in the plural.
    """
    if not outcome.failures:
        return
    units: dict[str, list[str]] = {}
    for name, reason in sorted(outcome.failures.items()):
        units.setdefault(reason, []).append(name)
    reasons = [f"  {_listed(names)}: {reason}" for reason, names in units.items()]
    count = f"{len(outcome.failures)} of {total} {what} failed; finished work is kept:"
    raise InputError("\n".join([count, *reasons]))


def _listed(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(names[:SHOWN_UNITS])
    more = len(names) - SHOWN_UNITS
    return f"{shown} and {more} more" if more > 0 else shown
