"""How each kind of fault is brought about.

Each function starts the run at least once and returns how its disturbed start ended.
"""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from tests.chaos.faults import Fault
from tests.chaos.subject import Subject
from tests.commands import INJECTED, Command, Ended

TITLES = {
    "encoder": "ShardEncoder",
    "regrouper": "regroup_classes",
    "selector": "ray::geometry_aware, class",
    "board": "ray::Board",
    "rank": "ray::RayTrainWorker",
    "controller": "ray::TrainController",
    "sampler": "ray::sit on geometry_aware, step",
}
"""What Ray calls the processes."""
CREWS = {"extract": ("extraction.num_encoders=1",), "train": ("models.sit.training.num_workers=1",)}
"""Gives a stage processes of its own, where the subject works in the driver; same bytes."""
UNITS = {"select": "selector", "sample": "sampler"}
PROGRESS = {
    "extract": "extract_features",
    "select": "select_subset",
    "train": "train-",
    "sample": "sample",
    "evaluate": "evaluate",
}


class Missed(Exception):  # noqa: N818 - the name of an event
    """The command ended before the fault came."""


@contextmanager
def started(
    subject: Subject, run: Path, overrides: tuple[str, ...] = (), **environment: str
) -> Iterator[Command]:
    command = subject.start(run, overrides=overrides, **environment)
    try:
        yield command
    finally:
        command.clean()


def in_stage(command: Command, run: Path, stage: str, delay: float) -> None:
    """Wait until a stage has begun and some time more."""
    if not command.wait_until(
        lambda: bool(list(run.glob(f"logs/progress/{PROGRESS[stage]}*.json")))
    ):
        raise Missed
    if command.wait_until(lambda: False, delay) or command.has_ended:
        raise Missed


def worker_of(command: Command, victim: str, delay: float) -> psutil.Process:
    """Return a worker after it has been there for some time."""
    if not command.wait_until(lambda: bool(command.workers(TITLES[victim]))):
        raise Missed
    time.sleep(delay)
    workers = command.workers(TITLES[victim])
    if not workers or command.has_ended:
        raise Missed
    return workers[0]


def on_driver(subject: Subject, run: Path, fault: Fault) -> Ended:
    # Extraction by workers takes longest to start; tests/ray/test_interruption.py interrupts it.
    with started(
        subject, run, () if fault.stage == "extract" else CREWS.get(fault.stage, ())
    ) as command:
        in_stage(command, run, fault.stage, fault.settings["delay"])
        name, *again = fault.settings["signal"].split()
        command.signal(signal.Signals[name])
        if again:
            time.sleep(0.3)
            command.signal(signal.Signals[name])
        return command.end()


def on_worker(subject: Subject, run: Path, fault: Fault) -> Ended:
    with started(subject, run, CREWS.get(fault.stage, ())) as command:
        worker = worker_of(command, fault.settings["victim"], fault.settings["delay"])
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(signal.Signals[fault.settings["signal"]])
        return command.end()


def injected(**settings: Any) -> dict[str, str]:
    path = os.pathsep.join(
        [str(INJECTED), str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    return {"PYTHONPATH": path, **{name: json.dumps(value) for name, value in settings.items()}}


def on_write(subject: Subject, run: Path, fault: Fault) -> Ended:
    token = run.parent / "token"
    point = {
        "step": fault.settings["step"],
        "file": str(run / fault.settings["file"]),
        "action": fault.settings["action"],
        "token": str(token),
    }
    ended = subject.run(run, **injected(CHAOS_POINT=point))
    if not token.exists():
        raise Missed
    return ended


def on_clock(subject: Subject, run: Path, fault: Fault) -> Ended:
    clock = {"at": time.time() + fault.settings["delay"], "back": fault.settings["back"]}
    ended = subject.run(run, **injected(CHAOS_CLOCK=clock))
    if ended.seconds < fault.settings["delay"]:
        raise Missed
    return ended


def on_full_disk(subject: Subject, run: Path, fault: Fault) -> Ended:
    """Make the run's folder a file system with too little room for the stage; then give it more."""
    size = _pages(path.stat().st_size for path in run.rglob("*"))
    missing = (
        len(content) for name, content in subject.results.items() if not (run / name).exists()
    )
    needed = _pages([*missing, (run / "report.html").stat().st_size])
    whole = run.parent / "whole"
    run.rename(whole)
    run.mkdir()
    room = size + int(fault.settings["free"] * needed) + 64 * 1024
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={room}", "chaos", run], check=True)
    try:
        subprocess.run(["cp", "-a", f"{whole}/.", run], check=True)
        ended = subject.run(run)
        copy = run.parent / "copy"
        subprocess.run(["cp", "-a", run, copy], check=True)
    finally:
        subprocess.run(["umount", "--lazy", run], check=True)
    run.rmdir()
    copy.rename(run)
    return ended


def _pages(sizes: Iterable[int]) -> int:
    """Return what files take in a file system of whole pages."""
    return sum(4096 * (1 + size // 4096) for size in sizes)


def on_slow_worker(subject: Subject, run: Path, fault: Fault) -> Ended:
    with started(subject, run) as command:
        worker = worker_of(command, UNITS[fault.stage], fault.settings["delay"])
        with suppress(psutil.NoSuchProcess):
            worker.suspend()
            time.sleep(4)
            worker.resume()
        return command.end()


def on_hanging_worker(subject: Subject, run: Path, fault: Fault) -> Ended:
    pool = {"select": "selection.pool", "sample": "samplers"}[fault.stage]
    with started(
        subject, run, (f"{pool}.deadline_seconds=12", f"{pool}.grace_seconds=1")
    ) as command:
        worker = worker_of(command, UNITS[fault.stage], fault.settings["delay"])
        with suppress(psutil.NoSuchProcess):
            worker.suspend()
        return command.end()


def on_second_driver(subject: Subject, run: Path, fault: Fault) -> Ended:
    with started(subject, run) as command:
        command.wait_until((run / ".lock").exists)
        if command.wait_until(lambda: False, fault.settings["delay"]) or command.has_ended:
            raise Missed
        second = subject.run(run)
        if second.code == 0 and command.has_ended:
            raise Missed  # the first one ended before the second one came to the lock
        if "is held by another driver" not in second.output or second.code != 2:
            raise AssertionError(
                f"the second driver was not refused: {second.code} {second.output[-2000:]}"
            )
        return command.end()


def on_memory(subject: Subject, run: Path, fault: Fault) -> Ended:
    """Take so much memory for a few seconds that Ray kills workers."""
    total, used = psutil.virtual_memory().total, psutil.virtual_memory().used
    limit = used + 5 * 2**30
    environment = {
        "RAY_memory_usage_threshold": f"{limit / total:.4f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }
    with started(subject, run, **environment) as command:
        worker = worker_of(command, UNITS[fault.stage], fault.settings["delay"])
        hog = np.ones(max(2**30, limit - psutil.virtual_memory().used + 2**30), dtype=np.uint8)
        command.wait_until(lambda: not worker.is_running(), 6)
        del hog
        return command.end()


KINDS: dict[str, Callable[[Subject, Path, Fault], Ended]] = {
    "driver": on_driver,
    "worker": on_worker,
    "write": on_write,
    "clock": on_clock,
    "disk_full": on_full_disk,
    "slow": on_slow_worker,
    "hang": on_hanging_worker,
    "two_drivers": on_second_driver,
    "memory": on_memory,
}
