"""Commands as a user starts them, and the processes they start in turn.

Half of the time of a tiny run is the driver's imports. They are done once: each command is a
process of its own, forked from one that has imported everything and done nothing else. The
processes that a command starts import for themselves.
"""

import atexit
import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

HANG_SECONDS = 420
"""After this long a command is said to hang."""
POLL_SECONDS = 0.02
INJECTED = Path(__file__).parent / "chaos" / "injected"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    [
        "jobs.run.command",
        "jobs.sweep.command",
        "torchvision",
        "timm",
        "ray.data",
        "ray.train",
        "ray.tune",
    ]
)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    seconds: float
    is_hung: bool = False


class Command:
    """A verb that runs in a process of its own, with Ray's files in a folder that goes with it."""

    def __init__(
        self,
        verb: str,
        arguments: list[str],
        environment: dict[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        # A short name: Ray's sockets lie in it.
        self._folder = Path(tempfile.mkdtemp(prefix="c", dir="/tmp"))
        self._log = self._folder / "output"
        self._seen: dict[int, psutil.Process] = {}
        self.started = time.monotonic()
        everything = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "RAY_TMPDIR": str(self._folder),
            **(environment or {}),
        }
        if directory is not None:
            everything["PYTHONPATH"] = str(Path.cwd())  # for its workers; it has its own imports
        self.process = FORKS.Process(
            target=_become, args=(verb, arguments, everything, self._log, directory)
        )
        self.process.start()

    @property
    def has_ended(self) -> bool:
        return self.process.exitcode is not None

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def workers(self, title: str) -> list[psutil.Process]:
        """Return the processes under the command that have `title` in their name."""
        return [each for each in self._family() if title in _title(each)]

    def _family(self) -> list[psutil.Process]:
        with suppress(psutil.NoSuchProcess):
            for each in psutil.Process(self.process.pid).children(recursive=True):
                self._seen.setdefault(each.pid, each)
        return [each for each in self._seen.values() if each.is_running()]

    def wait_until(self, condition: Callable[[], bool], seconds: float = HANG_SECONDS) -> bool:
        """Wait for a condition; tells whether it came true before the command ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if condition():
                return True
            if self.has_ended:
                return False
            time.sleep(POLL_SECONDS)
        return False

    def signal(self, number: signal.Signals) -> None:
        self._family()
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def end(self, seconds: float = HANG_SECONDS) -> Ended:
        """Wait until the command has ended; kill it if it hangs."""
        self.wait_until(lambda: self.has_ended, seconds)
        is_hung = not self.has_ended
        taken = time.monotonic() - self.started
        if is_hung:
            self._family()
            self.process.kill()
        self.process.join()
        return Ended(self.process.exitcode, self.output, taken, is_hung)

    def __enter__(self) -> "Command":
        return self

    def __exit__(self, *_: object) -> None:
        self.clean()

    def clean(self) -> None:
        """Kill what is left of the command's processes, and delete Ray's files."""
        for each in self._family():
            with suppress(psutil.NoSuchProcess):
                each.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


def _become(
    verb: str,
    arguments: list[str],
    environment: dict[str, str],
    log: Path,
    directory: Path | None,
) -> None:
    """Be `python -m jobs.VERB ...`, in a process just forked."""
    os.setsid()
    output = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    os.environ.clear()
    os.environ.update(environment)
    # A shell lets its background jobs ignore Ctrl-C; the command must not inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if str(INJECTED) in environment.get("PYTHONPATH", ""):
        runpy.run_path(str(INJECTED / "sitecustomize.py"))
    os.chdir(directory or Path.cwd())
    sys.argv = [f"jobs.{verb}", *arguments]
    try:
        runpy.run_module(f"jobs.{verb}", run_name="__main__", alter_sys=True)
    finally:
        atexit._run_exitfuncs()  # a forked process leaves without them, and Ray ends its own in one


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
        return ""
