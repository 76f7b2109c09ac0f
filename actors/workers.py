"""Workers of a pool: the interface that the pool uses, and Ray actors that implement it."""

import time
from collections.abc import Callable, Collection, Hashable
from typing import Any, Protocol, Self, TypeVar

import ray
from ray.actor import ActorHandle
from ray.exceptions import ActorDiedError, RayActorError, RayError, RayTaskError, TaskCancelledError

from actors.pool_config import PoolConfig
from actors.reporter import Cancelled
from actors.units import Unit, UnitChanges, unit_failure

WorkerT = TypeVar("WorkerT")
PendingT = TypeVar("PendingT", bound=Hashable)


class WorkerLost(Exception):  # noqa: N818 - it names an event, not a mistake in the code
    """The worker, its node or the connection died; another worker can retry the unit."""


class UnitFailed(Exception):  # noqa: N818
    """The unit itself failed; the worker can continue."""


class UnitCancelled(Exception):  # noqa: N818
    """The unit stopped because it was cancelled; the worker can continue."""


class WorkerBackend(Protocol[WorkerT, PendingT]):
    """Starts workers, submits units to them, and has the clock.

    Starts and units in progress are identified by pending handles.
    """

    def start_worker(self) -> tuple[WorkerT, PendingT]:
        """Request a worker; the handle completes when the worker is ready."""

    def submit(self, worker: WorkerT, unit: Unit) -> PendingT:
        """Submit a unit to a worker that is ready; the handle completes with the unit."""

    def wait(self, pending: Collection[PendingT], seconds: float) -> list[PendingT]:
        """Return completed handles as soon as there is one, or none after `seconds`."""

    def result(self, pending: PendingT) -> UnitChanges:
        """Return the result of a completed handle.

        Raises: WorkerLost, UnitFailed or UnitCancelled.
        """

    def cancel(self, pending: PendingT) -> None:
        """Ask a unit to stop; its worker checks for this between two steps."""

    def stop_worker(self, worker: WorkerT) -> None:
        """Kill a worker at once, whether it is idle or busy."""

    def now(self) -> float:
        """Return the time in seconds."""


class RayBackend:
    """Ray actors with a method `run(unit) -> UnitChanges`.

    Ray's dashboard shows each call under the name of its unit.
    """

    def __init__(self, make_actor: Callable[[], ActorHandle[Any]]) -> None:
        self._make_actor = make_actor

    @classmethod
    def of(cls, actor: Any, pool: PoolConfig, *arguments: Any) -> Self:
        """Return the backend of an actor class with the resources that a pool gives each actor.

        Args:
            actor: a class that went through `ray.remote`.
            pool: the pool.
            *arguments: arguments of the actor's constructor.
        """
        resourced = actor.options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus)
        return cls(lambda: resourced.remote(*arguments))

    def start_worker(self) -> tuple[ActorHandle[Any], ray.ObjectRef[Any]]:
        actor = self._make_actor()
        return actor, actor.__ray_ready__.remote()

    def submit(self, worker: ActorHandle[Any], unit: Unit) -> ray.ObjectRef[Any]:
        return worker.run.options(name=unit.name).remote(unit)

    def wait(
        self, pending: Collection[ray.ObjectRef[Any]], seconds: float
    ) -> list[ray.ObjectRef[Any]]:
        completed, _ = ray.wait(list(pending), num_returns=1, timeout=seconds)
        return list(completed)

    def result(self, pending: ray.ObjectRef[Any]) -> UnitChanges:
        try:
            result: UnitChanges = ray.get(pending)
        except TaskCancelledError as error:
            raise UnitCancelled from error
        except RayActorError as error:
            raise WorkerLost(f"worker died: {_reason(error)}") from error
        except RayTaskError as error:
            cause = error.cause if isinstance(error.cause, Exception) else error
            if isinstance(cause, Cancelled):
                raise UnitCancelled from error
            raise UnitFailed(unit_failure(cause)) from error
        except RayError as error:
            raise WorkerLost(f"Ray lost the call: {_reason(error)}") from error
        return result

    def cancel(self, pending: ray.ObjectRef[Any]) -> None:
        ray.cancel(pending, force=False)

    def stop_worker(self, worker: ActorHandle[Any]) -> None:
        ray.kill(worker)

    def now(self) -> float:
        return time.monotonic()


def _reason(error: Exception) -> str:
    """Return the most informative line of Ray's message.

    This is the last line if the actor's constructor failed, else the first.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    is_from_constructor = isinstance(error, ActorDiedError) and "creation task" in lines[0]
    return lines[-1] if is_from_constructor else lines[0]
