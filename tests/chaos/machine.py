"""Faults of the machine and its surroundings: limits, Ray's own processes, exports, the source."""

import os
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from tests.chaos.damage import OBSTACLES
from tests.chaos.faults import Fault
from tests.chaos.kinds import UNITS, Missed, injected, started, worker_of
from tests.chaos.subject import EXPORT, Subject
from tests.commands import Ended

QUICK_CHECKS = {
    "RAY_health_check_initial_delay_ms": "500",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""Ray notices a stopped process after some seconds, not after a minute."""


def on_limit(subject: Subject, run: Path, fault: Fault) -> Ended:
    """Run under a limit on open files, on the size of a file, or on memory."""
    limit = {"kind": fault.settings["limit"], "amount": fault.settings["amount"]}
    return subject.run(run, **injected(CHAOS_LIMIT=limit))


def on_ray(subject: Subject, run: Path, fault: Fault) -> Ended:
    """Kill or stop a process of Ray's own."""
    with started(subject, run, **QUICK_CHECKS) as command:
        worker_of(command, UNITS[fault.stage], fault.settings["delay"])
        victims = command.workers(fault.settings["victim"])
        if not victims or command.has_ended:
            raise Missed
        with suppress(psutil.NoSuchProcess):
            victims[0].send_signal(signal.Signals[fault.settings["signal"]])
        return command.end()


def on_export(subject: Subject, run: Path, fault: Fault) -> Ended:
    """Interrupt an export whose target lies in the run, at its end."""
    target, token = run / EXPORT, run.parent / "token"
    point = {"step": "rename", "file": str(target), "token": str(token)}
    environment = injected(CHAOS_POINT={**point, "action": fault.settings["action"]})
    form = ["--format", fault.settings["format"], "--output", str(target)]
    command = subject.start(run, "export", tuple(form), **environment)
    try:
        ended = command.end()
    finally:
        command.clean()
    if not token.exists():
        raise Missed
    return ended


def on_source(subject: Subject, run: Path, fault: Fault) -> Ended:
    """Change the images or the weights, run, and put everything back."""
    images = sorted((subject.root / "train").rglob("*.png"))
    weights = subject.root / "a.safetensors"
    how, place = fault.settings["how"], fault.settings["place"]
    victim = weights if how == "weights" else images[int(place * len(images))]
    kept = victim.read_bytes()
    times = {path: path.stat().st_mtime_ns for path in (*images, weights)}
    change_source(how, images, victim)
    try:
        return subject.run(run)
    finally:
        victim.unlink(missing_ok=True)
        victim.write_bytes(kept)
        for path, time in times.items():
            os.utime(path, ns=(time, time))


def change_source(how: str, images: list[Path], victim: Path) -> None:
    """Change the source in one of the ways of `faults`."""
    if how == "touched":
        for image in images:
            image.touch()
    elif how == "copied":
        for image in images:
            copy = image.with_name("copy")
            shutil.copyfile(image, copy)
            copy.replace(image)
    elif how in ("rotten", "weights"):
        _flip_in_place(victim)
    else:
        victim.unlink()
        if how in OBSTACLES:
            OBSTACLES[how](victim)


def _flip_in_place(path: Path) -> None:
    """Flip a bit in the middle of a file; size and time stay as they are."""
    content, times = bytearray(path.read_bytes()), path.stat()
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


MACHINE_KINDS: dict[str, Callable[[Subject, Path, Fault], Ended]] = {
    "limit": on_limit,
    "ray": on_ray,
    "export": on_export,
    "source": on_source,
}
