"""Who works: what a pool needs of its workers, and Ray actors that give it."""

import time
from collections.abc import Callable, Collection
from typing import Any, Protocol

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError, TaskCancelledError

from actors.reporter import Cancelled
from otcondense.errors import InputError

Unit = dict[str, Any]
Worker = Any
Ticket = Any


class WorkerLost(Exception):  # noqa: N818 - what happened, not a mistake of the code
    """The worker, its node or the connection died; the unit can be tried again elsewhere."""


class UnitFailed(Exception):  # noqa: N818
    """The unit itself cannot be done; the worker can go on."""


class UnitCancelled(Exception):  # noqa: N818
    """The unit was asked to stop and did; the worker can go on."""


class Crew(Protocol):
    """Workers that come and go, and the clock they work by. Arrivals and work in progress are known by tickets."""

    def hire(self) -> tuple[Worker, Ticket]:
        """Ask for a worker; the ticket ends when it has arrived."""

    def start(self, worker: Worker, unit: Unit) -> Ticket:
        """Give a unit to a worker that has arrived; the ticket ends with the unit."""

    def wait(self, tickets: Collection[Ticket], seconds: float) -> list[Ticket]:
        """Return tickets that have ended, as soon as there is one, none after `seconds`."""

    def result(self, ticket: Ticket) -> Any:
        """Return what an ended ticket came to.

        Raises: WorkerLost, UnitFailed or UnitCancelled.
        """

    def cancel(self, ticket: Ticket) -> None:
        """Ask for a unit to be stopped; its worker looks for that between two steps."""

    def dismiss(self, worker: Worker) -> None:
        """Let a worker go, at once and whatever it does."""

    def now(self) -> float:
        """Return the time in seconds."""


class RayCrew:
    """Ray actors that have a method `run(unit) -> dict`. Ray's dashboard shows each call under the unit's name."""

    def __init__(self, make_actor: Callable[[], ActorHandle]) -> None:
        self._make_actor = make_actor

    def hire(self) -> tuple[ActorHandle, ray.ObjectRef]:
        actor = self._make_actor()
        return actor, actor.__ray_ready__.remote()

    def start(self, worker: ActorHandle, unit: Unit) -> ray.ObjectRef:
        return worker.run.options(name=unit["name"]).remote(unit)

    def wait(self, tickets: Collection[ray.ObjectRef], seconds: float) -> list[ray.ObjectRef]:
        return list(ray.wait(list(tickets), num_returns=1, timeout=seconds)[0])

    def result(self, ticket: ray.ObjectRef) -> Any:
        try:
            return ray.get(ticket)
        except TaskCancelledError as error:
            raise UnitCancelled from error
        except RayActorError as error:
            raise WorkerLost(f"its worker died: {_reason(error)}") from error
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, Cancelled):
                raise UnitCancelled from error
            raise UnitFailed(
                str(cause) if isinstance(cause, InputError) else f"{type(cause).__name__}: {cause}"
            ) from error
        except RayError as error:
            raise WorkerLost(f"Ray lost it: {_reason(error)}") from error

    def cancel(self, ticket: ray.ObjectRef) -> None:
        ray.cancel(ticket, force=False)

    def dismiss(self, worker: ActorHandle) -> None:
        ray.kill(worker)

    def now(self) -> float:
        return time.monotonic()


def _reason(error: Exception) -> str:
    """Return the line that says most: the last where an actor's own start failed, else the first."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    own = isinstance(error, ActorDiedError) and "creation task" in lines[0]
    return lines[-1] if own else lines[0]
