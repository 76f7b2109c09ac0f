"""What a part of the run is made of: cases that measure, and what they are given."""

import gc
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, TypeVar

import torch

WARM_UP = 3
"""Steps before timing, for compilation and caches."""
FEWEST = 3
"""Timed steps at least."""
MOST = 20
"""Timed steps at most."""

Figures = dict[str, Any]
"""Numbers by name, with the unit in the name; lists only describe."""
Value = TypeVar("Value")


@dataclass(frozen=True)
class Setting:
    """Where and how long to measure."""

    device: str
    rehearse: bool
    """Everything tiny, to see that it runs."""
    deadline: float
    """Time of `time.monotonic` at which the part has to end."""
    peak: float | None = None
    """Operations a second of large bf16 matrix products on this device, if they were measured."""

    @property
    def left(self) -> float:
        """Seconds up to the deadline."""
        return self.deadline - time.monotonic()

    def size(self, real: Value, tiny: Value) -> Value:
        """Return the real size of something, or the one for a rehearsal."""
        return tiny if self.rehearse else real

    def share(self, operations_per_s: float) -> Figures:
        """Return the share of the measured peak, if it is known."""
        return {} if self.peak is None else {"peak_share": operations_per_s / self.peak}


@dataclass(frozen=True)
class Case:
    """One measurement."""

    name: str
    seconds: float
    """Time it may take on an H100; it is left out if less is left."""
    measure: Callable[[Setting], Figures]


class Held:
    """Keeps the last large object, so that cases in a row can share it and two never meet."""

    def __init__(self) -> None:
        self._key: Hashable = None
        self._value: Any = None

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the object of this key; another one is dropped first."""
        if key != self._key:
            self.drop()
            self._value = make()
            self._key = key
        value: Value = self._value
        return value

    def drop(self) -> None:
        """Free the object and the memory of compiled code."""
        self._key = self._value = None
        free_memory()


def free_memory() -> None:
    """Give what nothing refers to any more back to the device."""
    torch._dynamo.reset()
    gc.collect()
    torch.cuda.empty_cache()


def finish_work(device: str) -> None:
    """Wait until the device has done everything."""
    if device == "cuda":
        torch.cuda.synchronize()


def once(setting: Setting, work: Callable[[], object]) -> float:
    """Return the seconds of one call."""
    finish_work(setting.device)
    started = time.perf_counter()
    work()
    finish_work(setting.device)
    return time.perf_counter() - started


def paced(setting: Setting, step: Callable[[], object], seconds: float) -> float:
    """Return the mean seconds of a step: as many steps as fit, after a warm-up."""
    for _ in range(WARM_UP - 1):
        once(setting, step)
    each = once(setting, step)
    count = max(FEWEST, min(MOST, int(seconds / max(each, 1e-9))))

    def steps() -> None:
        for _ in range(count):
            step()

    return once(setting, steps) / count
