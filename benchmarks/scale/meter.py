"""What a command takes: seconds, seconds of CPU, memory of its processes, files and bytes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

POLL_SECONDS = 0.2
"""Between two looks at the processes: shorter peaks of memory are missed."""
MIB = 2**20


@dataclass(frozen=True)
class Taken:
    """What one stage took."""

    seconds: float
    """Wall-clock time, start of the process included."""
    cpu_seconds: float
    """Of all processes that have ended or were seen."""
    peak_mib: float
    """Most resident memory of the process and its children at one time; shared pages count once
    for each."""
    files: int
    """Files that the stage added below the folder."""
    written_mib: float
    """Bytes by which the folder grew."""


@dataclass(frozen=True)
class Folder:
    """How much a folder holds."""

    files: int
    size: int
    """Bytes."""

    @classmethod
    def of(cls, root: Path) -> "Folder":
        """Count the files below a folder."""
        files = size = 0
        for folder, _, names in os.walk(root):
            for name in names:
                with suppress(FileNotFoundError):
                    size += Path(folder, name).stat().st_size
                    files += 1
        return cls(files, size)


class TreeMemory:
    """The largest resident memory of a process and its children, and their CPU time."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._cpu: dict[int, float] = {}
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    @property
    def cpu_seconds(self) -> float:
        """Seconds of all processes that were seen."""
        return sum(self._cpu.values())

    def __enter__(self) -> "TreeMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            with suppress(psutil.Error):
                self._look()

    def _look(self) -> None:
        total = 0
        for each in [self._process, *self._process.children(recursive=True)]:
            with suppress(psutil.Error):
                total += each.memory_info().rss
                times = each.cpu_times()
                self._cpu[each.pid] = times.user + times.system
        self.peak = max(self.peak, total)


def measured(command: Sequence[str], folder: Path, log: Path) -> Taken:
    """Run a module of Python to its end, and return what it took.

    Args:
        command: name of the module and its arguments.
        folder: what grows.
        log: file that gets its output.

    Raises: RuntimeError if it fails.
    """
    before = Folder.of(folder)
    cpu = _cpu_of_children()
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], stdout=output, stderr=subprocess.STDOUT
        )
        with TreeMemory(process.pid) as memory:
            status = process.wait()
    seconds = time.monotonic() - started
    if status:
        tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {status}:\n{tail}")
    after = Folder.of(folder)
    return Taken(
        seconds=seconds,
        cpu_seconds=max(_cpu_of_children() - cpu, memory.cpu_seconds),
        peak_mib=memory.peak / MIB,
        files=after.files - before.files,
        written_mib=(after.size - before.size) / MIB,
    )


def _cpu_of_children() -> float:
    times = os.times()
    return times.children_user + times.children_system
