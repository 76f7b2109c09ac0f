"""A pool of long-lived workers and the loop that feeds them, one unit of work at a time.

Ray's own `ActorPool` stops at the first death. Here a unit whose worker died is queued again for another, an error of one
unit is recorded and the others go on, and a unit that takes too long is stopped. The loop knows its workers only as a
`Crew`, so that benchmarks can replay it with simulated ones.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from actors.crew import Crew, Ticket, Unit, UnitCancelled, UnitFailed, Worker, WorkerLost
from otcondense.config import Config
from otcondense.errors import InputError

OnChange = Callable[[str, dict[str, Any]], None]
"""Gets the name of a unit and what has changed of it, by the names of `otcondense.store.UnitProgress`."""
TICK_SECONDS = 1.0
"""The longest time between two calls of `on_tick`."""


class PoolConfig(Config):
    """How many actors, and what each may use."""

    num_actors: int = Field(default=2, ge=1)
    """Number of actors that work at the same time."""
    num_cpus: float = Field(default=1.0, ge=0)
    """CPUs of each actor."""
    num_gpus: float = Field(default=0.0, ge=0)
    """GPUs of each actor; a fraction shares one."""
    max_attempts: int = Field(default=3, ge=1)
    """How often a unit is tried when the actor or node that works on it dies."""
    deadline_seconds: float | None = Field(default=None, gt=0)
    """Seconds after which a unit that has not ended counts as failed; None waits."""
    grace_seconds: float = Field(default=5.0, ge=0)
    """Seconds in which a unit that is to stop (its deadline, Ctrl-C) can do so by itself before its actor is killed."""


@dataclass
class PoolOutcome:
    """What became of the units: results by unit name, and why others failed."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    num_requeued: int = 0


@dataclass
class _Job:
    """A unit in work."""

    worker: Worker
    unit: Unit
    started: float
    alarm: float
    """When it is asked to stop, or, once it was, when its worker is killed."""
    is_asked: bool = False
    """Whether it was asked to stop."""


class Pool:
    """Feeds units of work to a crew. A unit is a small dict with a unique `name`.

    Which worker works on which unit, and in which order they end, has no influence on what a unit writes.
    """

    def __init__(self, crew: Crew, config: PoolConfig) -> None:
        self._crew, self._config = crew, config
        self._arriving: dict[Ticket, Worker] = {}
        self._idle: list[Worker] = []
        self._jobs: dict[Ticket, _Job] = {}
        self._queue: deque[Unit] = deque()
        self._attempts: dict[str, int] = {}
        self._failed_hires, self._refusal = 0, ""
        self._outcome = PoolOutcome()
        self._on_change: OnChange = lambda _name, _changes: None

    def run(
        self,
        units: Sequence[Unit],
        on_change: OnChange | None = None,
        on_tick: Callable[[], None] = lambda: None,
    ) -> PoolOutcome:
        """Work on all units in their order.

        Args:
            units: what to do.
            on_change: called whenever a unit is started, ends or is queued again.
            on_tick: called at least once a second while there is work.

        Returns when each unit has a result or a failure.
        """
        assert len({unit["name"] for unit in units}) == len(units), "unit names must be unique"
        self._on_change = on_change or self._on_change
        self._queue.extend(units)
        try:
            while self._queue or self._jobs:
                self._fill()
                if not (self._jobs or self._arriving):
                    self._give_up()
                    break
                for ticket in self._crew.wait([*self._jobs, *self._arriving], self._patience()):
                    self._end(ticket)
                self._enforce_deadlines()
                on_tick()
        finally:
            self._stop()
        return self._outcome

    def _fill(self) -> None:
        """Hire while there is more to do than hands and workers can be started, and give every idle worker a unit."""
        wanted = min(len(self._queue), self._config.num_actors - len(self._jobs))
        while (
            self._failed_hires < self._config.max_attempts
            and len(self._arriving) + len(self._idle) < wanted
        ):
            worker, ticket = self._crew.hire()
            self._arriving[ticket] = worker
        while self._queue and self._idle:
            self._start(self._idle.pop(), self._queue.popleft())

    def _start(self, worker: Worker, unit: Unit) -> None:
        name = unit["name"]
        self._attempts[name] = self._attempts.get(name, 0) + 1
        self._jobs[self._crew.start(worker, unit)] = self._job(worker, unit)
        self._on_change(
            name, {"state": "running", "started": time.time(), "attempts": self._attempts[name]}
        )

    def _job(self, worker: Worker, unit: Unit) -> _Job:
        now = self._crew.now()
        return _Job(worker, unit, now, now + (self._config.deadline_seconds or math.inf))

    def _end(self, ticket: Ticket) -> None:
        if ticket in self._arriving:
            self._welcome(ticket)
            return
        job = self._jobs.pop(ticket)
        try:
            result = self._crew.result(ticket)
        except WorkerLost as error:
            self._crew.dismiss(job.worker)
            self._retry(job, str(error))
            return
        except UnitFailed as error:
            self._fail(job, str(error))
        except UnitCancelled:
            self._fail(job, self._too_late() if job.is_asked else "it was cancelled from outside")
        else:
            self._failed_hires = 0  # who could not be replaced when a node was lost may be now
            self._outcome.results[job.unit["name"]] = result
            self._on_change(
                job.unit["name"],
                {
                    "state": "done",
                    "seconds": self._crew.now() - job.started,
                    "message": "",
                    **result,
                },
            )
        self._idle.append(job.worker)

    def _welcome(self, ticket: Ticket) -> None:
        worker = self._arriving.pop(ticket)
        try:
            self._crew.result(ticket)
        except (WorkerLost, UnitFailed) as error:
            self._crew.dismiss(worker)
            self._failed_hires, self._refusal = self._failed_hires + 1, str(error)
        else:
            self._failed_hires = 0
            self._idle.append(worker)

    def _give_up(self) -> None:
        """Fail all that waits, since nobody is there to do it and nobody comes."""
        while self._queue:
            self._fail(
                self._job(None, self._queue.popleft()),
                f"no worker could be started: {self._refusal}",
            )

    def _patience(self) -> float:
        """Return the seconds until something has to be done, a second at most."""
        first = min((job.alarm for job in self._jobs.values()), default=math.inf)
        return max(0.0, min(TICK_SECONDS, first - self._crew.now()))

    def _enforce_deadlines(self) -> None:
        """Ask what is late to stop, and kill the workers of what does not."""
        now = self._crew.now()
        for ticket, job in [
            (ticket, job) for ticket, job in self._jobs.items() if job.alarm <= now
        ]:
            if job.is_asked:
                del self._jobs[ticket]
                self._crew.dismiss(job.worker)
                self._fail(job, self._too_late())
            else:
                self._crew.cancel(ticket)
                job.is_asked, job.alarm = True, now + self._config.grace_seconds

    def _too_late(self) -> str:
        return f"it had not ended after {self._config.deadline_seconds:g} s, its deadline"

    def _retry(self, job: _Job, reason: str) -> None:
        name = job.unit["name"]
        if self._attempts[name] < self._config.max_attempts:
            self._outcome.num_requeued += 1
            self._queue.append(job.unit)
            self._on_change(name, {"state": "queued", "message": reason})
        else:
            self._fail(job, f"{reason} (tried {self._config.max_attempts} times)")

    def _fail(self, job: _Job, reason: str) -> None:
        self._outcome.failures[job.unit["name"]] = reason
        self._on_change(
            job.unit["name"],
            {"state": "failed", "message": reason, "seconds": self._crew.now() - job.started},
        )

    def _stop(self) -> None:
        """Let all workers go; those that are interrupted in a unit get the chance to stop by themselves."""
        try:
            for ticket, job in self._jobs.items():
                self._crew.cancel(ticket)
                self._on_change(job.unit["name"], {"state": "queued", "message": "interrupted"})
            open_tickets, end = set(self._jobs), self._crew.now() + self._config.grace_seconds
            while open_tickets and self._crew.now() < end:
                open_tickets -= set(self._crew.wait(open_tickets, end - self._crew.now()))
        finally:
            for worker in [
                *self._idle,
                *self._arriving.values(),
                *(job.worker for job in self._jobs.values()),
            ]:
                self._crew.dismiss(worker)
            self._idle, self._arriving, self._jobs = [], {}, {}


def refuse_failures(outcome: PoolOutcome, total: int, what: str) -> None:
    """Raise InputError with the reason of every failed unit, if there is one."""
    if outcome.failures:
        reasons = "\n".join(
            f"  {name}: {reason}" for name, reason in sorted(outcome.failures.items())
        )
        raise InputError(
            f"{len(outcome.failures)} of {total} {what} failed, the others are kept:\n{reasons}"
        )
