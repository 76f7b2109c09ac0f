"""Python, packages, accelerators and threads of this machine."""

import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from jobs.doctor.finding import Finding
from jobs.run_directory.opening import VERSIONED

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
OLDEST_PYTHON = (3, 11)
OPEN_FILES = 4096
"""Ray keeps a handful of connections for each worker process; below this a large node runs out of them."""


def look_at_machine() -> Iterator[Finding]:
    """Yield what there is to say of Python, the packages, the GPUs and the threads."""
    yield _python()
    yield from look_at_packages(installed_versions(), tested_versions(CONSTRAINTS.read_text()))
    yield _belong_together()
    yield look_at_gpus()
    yield look_at_threads(os.environ.get("OMP_NUM_THREADS"), usable_cpus())
    yield _open_files()


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info[:2] < OLDEST_PYTHON:
        return Finding(
            "python",
            "wrong",
            version,
            "install Python 3.11 or newer and run `make setup PYTHON=python3.11`",
        )
    return Finding("python", "ok", f"{version} on {platform.system()} {platform.machine()}")


def installed_versions() -> dict[str, str | None]:
    """Return the version of each package that decides results, None for one that is missing."""
    found: dict[str, str | None] = {}
    for name in VERSIONED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = None
    return found


def tested_versions(constraints: str) -> dict[str, str]:
    """Return the version of each package in a constraints file, by its normalised name."""
    pinned = (line.split("==") for line in constraints.splitlines() if "==" in line)
    return {_normal(name): version.strip() for name, version in pinned}


def look_at_packages(installed: dict[str, str | None], tested: dict[str, str]) -> Iterator[Finding]:
    """Yield a finding for each package that is missing or of another version than tested, or one for all of them."""
    mend = "install the tested versions: pip install -c constraints.txt -e '.[workflow]', the same on every node"
    odd = False
    for name, version in installed.items():
        wanted = tested.get(_normal(name))
        if version is None:
            odd = True
            yield Finding(f"package {name}", "wrong", "not installed", mend)
        elif wanted is not None and version.split("+")[0] != wanted:
            odd = True
            yield Finding(
                f"package {name}",
                "wrong" if name == "ray" else "note",
                f"{version}, tested with {wanted}",
                mend,
            )
    if not odd:
        yield Finding(
            "packages", "ok", ", ".join(f"{name} {version}" for name, version in installed.items())
        )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _belong_together() -> Finding:
    """Check what the packages that decide results ask of each other, torchvision of torch above all."""
    broken = []
    for name in VERSIONED:
        for text in _requirements(name):
            required = Requirement(text)
            if required.marker is not None and not required.marker.evaluate({"extra": ""}):
                continue
            found = _version(required.name)
            if (
                _normal(required.name) in map(_normal, VERSIONED)
                and found
                and not required.specifier.contains(found, prereleases=True)
            ):
                broken.append(f"{name} needs {required.name}{required.specifier}, found {found}")
    if broken:
        return Finding(
            "versions belong together",
            "wrong",
            "; ".join(broken),
            "install the versions of constraints.txt from one index",
        )
    return Finding("versions belong together", "ok", "every requirement among them is met")


def _requirements(name: str) -> list[str]:
    return (metadata.requires(name) or []) if _version(name) else []


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def look_at_gpus() -> Finding:
    """Return which GPUs torch sees, and whether there are some that it does not."""
    import torch

    if torch.cuda.is_available():
        devices = [
            torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())
        ]
        names = ", ".join(
            f"{device.name} ({device.total_memory / 2**30:.0f} GiB)" for device in devices
        )
        return Finding(
            "GPUs",
            "ok",
            f"{len(devices)}: {names}; CUDA {torch.version.cuda}, torch {torch.__version__}",
        )
    built_for = torch.version.cuda
    if list(Path("/dev").glob("nvidia[0-9]*")):
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        seen = f"the machine has some, torch {torch.__version__} (CUDA {built_for}) sees none; CUDA_VISIBLE_DEVICES={hidden}"
        mend = "unset CUDA_VISIBLE_DEVICES if it hides them; else install a driver for this CUDA, or a torch built for this driver"
        return Finding("GPUs", "wrong", seen, mend)
    return Finding("GPUs", "ok", f"none; torch {torch.__version__} works on the CPU")


def usable_cpus() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def look_at_threads(setting: str | None, cpus: int) -> Finding:
    """Return how many threads a driver's own computations take; workers always get one."""
    if setting is None:
        return Finding(
            "threads",
            "ok",
            f"{cpus} CPUs; OMP_NUM_THREADS is not set: the driver uses them all, each worker one",
        )
    if not setting.isdigit() or int(setting) < 1:
        return Finding(
            "threads",
            "wrong",
            f"OMP_NUM_THREADS={setting}",
            "set OMP_NUM_THREADS to a number from 1 on, or unset it",
        )
    if int(setting) > cpus:
        return Finding(
            "threads",
            "note",
            f"OMP_NUM_THREADS={setting} on {cpus} CPUs",
            f"set OMP_NUM_THREADS to at most {cpus}",
        )
    return Finding(
        "threads", "ok", f"OMP_NUM_THREADS={setting} on {cpus} CPUs; workers take one each"
    )


def _open_files() -> Finding:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        return Finding(
            "open files",
            "note",
            f"at most {soft} (hard limit {hard})",
            f"ulimit -n {OPEN_FILES} before Ray is started",
        )
    return Finding("open files", "ok", f"at most {soft}")
