"""Share of the time in which the GPU was busy, from a thread that asks it."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from benchmarks.gpu_all.cases import Figures
from benchmarks.gpu_ray.nvml import Reading

SECONDS_BETWEEN = 0.2
"""The GPU renews its answer about as often."""
PAUSE = 3.0
"""Seconds without any work that count as a start, of a process or of a compilation."""
LEAST_MEMORY_GB = 0.2
"""Memory that a process takes by starting CUDA; nothing below it is a use of the GPU."""


@dataclass
class Meter:
    """Reads the state of the GPU while a `with` block runs."""

    read: Callable[[], Reading]
    seconds_between: float = SECONDS_BETWEEN
    readings: list[Reading] = field(default_factory=list)
    _done: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.readings.append(self.read())
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        assert self._thread is not None
        self._thread.join()

    def _watch(self) -> None:
        next_time = time.monotonic()
        while not self._done.is_set():
            self.readings.append(self.read())
            next_time += self.seconds_between
            self._done.wait(max(0.0, next_time - time.monotonic()))


def usage(readings: list[Reading], seconds: float) -> Figures:
    """Return how much of a stage the GPU worked.

    Args:
        readings: before the stage, and then at equal intervals.
        seconds: time of the stage.

    Returns: `gpu_busy_share` of the whole stage; `gpu_working_seconds` and the busy share in them,
        `gpu_working_share`, without the starts: before the first use, after the last, and pauses
        of more than PAUSE seconds; `gpu_memory_gb`, between the least memory in use and the most
        (at the start a process of the stage before may still hold some); `used_gpu`, 1 if it worked
        and took the memory of a process.
    """
    busy = [reading.busy for reading in readings[1:]]
    each = seconds / max(1, len(busy))
    working = without_pauses(busy, longest=PAUSE / each)
    in_use = [reading.memory_gb for reading in readings]
    memory = max(in_use) - min(in_use)
    return {
        "gpu_busy_share": _mean(busy),
        "gpu_working_seconds": each * len(working),
        "gpu_working_share": _mean(working),
        "gpu_memory_gb": memory,
        "used_gpu": int(bool(working) and memory >= LEAST_MEMORY_GB),
    }


def without_pauses(busy: list[float], longest: float) -> list[float]:
    """Return the readings without idle ones at both ends, and without long pauses.

    Args:
        busy: shares at equal intervals.
        longest: idle readings in a row that are no pause.
    """
    kept: list[float] = []
    idle: list[float] = []
    for share in busy:
        if share == 0:
            idle.append(share)
            continue
        if kept and len(idle) <= longest:
            kept += idle
        idle = []
        kept.append(share)
    return kept


def _mean(shares: list[float]) -> float:
    return sum(shares) / max(1, len(shares))
