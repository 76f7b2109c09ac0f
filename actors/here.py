"""Units of work in the process that asks for them: no actors, and no Ray."""

import time
from collections.abc import Sequence
from typing import Literal, Protocol, TypeVar

from actors.pool import OnChange, PoolOutcome
from actors.pool_config import PoolConfig
from actors.units import INTERRUPTED, Unit, UnitChanges, unit_failure
from otcondense.devices import DeviceSetting, resolve_device

UnitT = TypeVar("UnitT", bound=Unit)
UnitT_contra = TypeVar("UnitT_contra", bound=Unit, contravariant=True)


class Worker(Protocol[UnitT_contra]):
    """What an actor of a pool does, called as a plain object."""

    def run(self, unit: UnitT_contra) -> UnitChanges:
        """Work on one unit and return its last changes."""


def run_here(worker: Worker[UnitT], units: Sequence[UnitT], on_change: OnChange) -> PoolOutcome:
    """Work on all units, one after another, in this process.

    A unit that fails does not stop the others, as in a pool, whatever the error. There are no
    deadlines. A unit that is interrupted is queued again.

    Args:
        worker: works on the units.
        units: the units; their names must be unique.
        on_change: called when a unit starts and ends.

    Returns: a result or a failure for each unit.
    """
    outcome = PoolOutcome()
    for unit in units:
        started = time.monotonic()
        on_change(unit.name, {"state": "running", "started": time.time(), "attempts": 1})
        try:
            outcome.results[unit.name] = worker.run(unit)
        except Exception as error:  # noqa: BLE001 - any error of a unit is its own, as in an actor
            outcome.failures[unit.name] = unit_failure(error)
        except BaseException:
            on_change(unit.name, {"state": "queued", "message": INTERRUPTED})
            raise
        seconds = time.monotonic() - started
        on_change(unit.name, _ending(outcome, unit.name, seconds))
    return outcome


def device_here(pool: PoolConfig) -> Literal["cpu", "cuda"]:
    """Return where a pool of no actors computes: a GPU if there is one and the pool may use it.

    Raises: InputError if a GPU is asked for, and there is none that torch can use.
    """
    setting: DeviceSetting = "auto" if pool.num_gpus is None else "cuda"
    return "cpu" if pool.num_gpus == 0 else resolve_device(setting, on_cpu="samplers.num_gpus=0")


def _ending(outcome: PoolOutcome, name: str, seconds: float) -> UnitChanges:
    if name in outcome.failures:
        return {"state": "failed", "message": outcome.failures[name], "seconds": seconds}
    done: UnitChanges = {"state": "done", "seconds": seconds, "message": ""}
    return {**done, **outcome.results[name]}
