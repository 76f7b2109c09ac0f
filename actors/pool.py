"""A pool of long-lived actors and the loop that feeds them, one unit of work at a time.

Ray's own `ActorPool` stops at the first death. Here a unit whose actor died is queued again on a fresh actor, an error
of one unit is recorded and the others go on.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from pydantic import Field
from ray.actor import ActorHandle
from ray.exceptions import RayActorError, RayError, RayTaskError

from otcondense.config import Config
from otcondense.errors import InputError

Unit = dict[str, Any]
OnChange = Callable[[str, dict[str, Any]], None]
"""Gets the name of a unit and what has changed of it, by the names of `otcondense.store.UnitProgress`."""


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
    """Seconds after which a unit that has not ended, the start of its actor included, counts as failed and its actor is replaced; None waits."""


@dataclass
class PoolOutcome:
    """What became of the units: results by unit name, and why others failed."""

    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    num_requeued: int = 0


class Pool:
    """Feeds units of work to actors that have a method `run(unit) -> dict`.

    A unit is a small dict with a unique `name`. Which actor works on which unit, and in which order they end, has no
    influence on what a unit writes.
    """

    def __init__(self, make_actor: Callable[[], ActorHandle], config: PoolConfig) -> None:
        self._make_actor = make_actor
        self._config = config
        self._busy: dict[ray.ObjectRef, tuple[ActorHandle, Unit]] = {}
        self._attempts: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._on_change: OnChange = lambda _name, _changes: None

    def run(self, units: Sequence[Unit], on_change: OnChange | None = None) -> PoolOutcome:
        """Work on all units, calling `on_change` whenever one is started, ends or is queued again.

        Returns when each unit has a result or a failure.
        """
        self._on_change = on_change or self._on_change
        assert len({unit["name"] for unit in units}) == len(units), "unit names must be unique"
        outcome = PoolOutcome()
        queue = deque(units)
        idle = [self._make_actor() for _ in range(min(self._config.num_actors, len(units)))]
        actors = set(idle)
        while queue or self._busy:
            while queue and idle:
                self._start(idle.pop(), queue.popleft())
            done, _ = ray.wait(list(self._busy), num_returns=1, timeout=self._patience())
            for reference in done or self._overdue():
                actor, unit = self._busy.pop(reference)
                if done and self._collect(reference, unit, outcome, queue):
                    idle.append(actor)
                    continue
                if not done:
                    self._fail(unit["name"], f"it had not ended after {self._config.deadline_seconds:g} s, its deadline", outcome)
                actors.discard(actor)
                ray.kill(actor)
                actors.add(replacement := self._make_actor())
                idle.append(replacement)
        for actor in actors:
            ray.kill(actor)
        return outcome

    def _start(self, actor: ActorHandle, unit: Unit) -> None:
        self._attempts[unit["name"]] = self._attempts.get(unit["name"], 0) + 1
        self._busy[actor.run.remote(unit)] = (actor, unit)
        self._started[unit["name"]] = time.monotonic()
        self._on_change(unit["name"], {"state": "running", "started": time.time(), "attempts": self._attempts[unit["name"]]})

    def _patience(self) -> float | None:
        """Return the seconds until the first deadline."""
        if self._config.deadline_seconds is None:
            return None
        first = min(self._started[unit["name"]] for _, unit in self._busy.values())
        return max(0.0, first + self._config.deadline_seconds - time.monotonic())

    def _overdue(self) -> list[ray.ObjectRef]:
        """Return the running units whose deadline has passed."""
        assert self._config.deadline_seconds is not None
        limit = time.monotonic() - self._config.deadline_seconds
        return [reference for reference, (_, unit) in self._busy.items() if self._started[unit["name"]] <= limit]

    def _collect(self, reference: ray.ObjectRef, unit: Unit, outcome: PoolOutcome, queue: deque[Unit]) -> bool:
        """Record the result of one unit; returns whether its actor can go on."""
        name = unit["name"]
        try:
            outcome.results[name] = ray.get(reference)
            self._on_change(name, {"state": "done", "seconds": time.monotonic() - self._started[name]})
        except RayActorError as error:
            self._retry(unit, outcome, queue, f"its worker died: {_first_line(error)}")
            return False
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            self._fail(name, str(cause) if isinstance(cause, InputError) else f"{type(cause).__name__}: {cause}", outcome)
        except RayError as error:
            self._retry(unit, outcome, queue, f"Ray lost it: {_first_line(error)}")
            return False
        return True

    def _retry(self, unit: Unit, outcome: PoolOutcome, queue: deque[Unit], reason: str) -> None:
        if self._attempts[unit["name"]] < self._config.max_attempts:
            outcome.num_requeued += 1
            queue.append(unit)
            self._on_change(unit["name"], {"state": "queued", "message": reason})
        else:
            self._fail(unit["name"], f"{reason} (tried {self._config.max_attempts} times)", outcome)

    def _fail(self, name: str, reason: str, outcome: PoolOutcome) -> None:
        outcome.failures[name] = reason
        self._on_change(name, {"state": "failed", "message": reason, "seconds": time.monotonic() - self._started[name]})


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
