"""Check Python, packages and threads of this machine."""

import os
import platform
import re
import resource
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from jobs.doctor.finding import Finding, Verdict
from jobs.run_directory.marker import VERSIONED
from otcondense.machine import usable_cpus

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
OLDEST_PYTHON = (3, 11)
OPEN_FILES = 4096
"""Ray keeps several connections for each worker process; a large node runs out of a lower limit."""


def check_machine() -> Iterator[Finding]:
    """Yield findings on Python, the packages and the threads."""
    yield _python()
    yield from check_packages(installed_versions(), tested_versions(CONSTRAINTS.read_text()))
    yield _requirements_met()
    yield check_threads(os.environ.get("OMP_NUM_THREADS"), usable_cpus())
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
    """Return the version of each package that affects results, None for a missing one."""
    return {name: _version(name) for name in VERSIONED}


def tested_versions(constraints: str) -> dict[str, str]:
    """Return the version of each package in a constraints file, by its normalised name."""
    pinned = (line.split("==") for line in constraints.splitlines() if "==" in line)
    return {_normal(name): version.strip() for name, version in pinned}


def check_packages(
    installed: Mapping[str, str | None], tested: Mapping[str, str]
) -> Iterator[Finding]:
    """Yield a finding for each package that is missing or untested, or one for all packages."""
    problems = [
        finding
        for name, version in installed.items()
        if (finding := _package(name, version, tested.get(_normal(name))))
    ]
    if problems:
        yield from problems
    else:
        versions = [f"{name} {version}" for name, version in installed.items()]
        yield Finding("packages", "ok", ", ".join(versions))


def _package(name: str, version: str | None, tested: str | None) -> Finding | None:
    """Return the problem of one package, None if it has the tested version."""
    remedy = (
        "install the tested versions: pip install -c constraints.txt -e '.[workflow]', "
        "the same on every node"
    )
    if version is None:
        return Finding(f"package {name}", "wrong", "not installed", remedy)
    if tested is None or version.split("+")[0] == tested:
        return None
    verdict: Verdict = "wrong" if name == "ray" else "note"
    return Finding(f"package {name}", verdict, f"{version}, tested with {tested}", remedy)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirements_met() -> Finding:
    """Check the requirements of these packages on each other, above all torchvision on torch."""
    broken = [problem for name in VERSIONED for problem in _broken_requirements(name)]
    if broken:
        return Finding(
            "versions belong together",
            "wrong",
            "; ".join(broken),
            "install the versions of constraints.txt from one index",
        )
    return Finding("versions belong together", "ok", "every requirement among them is met")


def _broken_requirements(name: str) -> Iterator[str]:
    if _version(name) is None:
        return
    ours = {_normal(package) for package in VERSIONED}
    for text in metadata.requires(name) or []:
        required = Requirement(text)
        is_extra = required.marker is not None and not required.marker.evaluate({"extra": ""})
        version = _version(required.name)
        if is_extra or version is None or _normal(required.name) not in ours:
            continue
        if not required.specifier.contains(version, prereleases=True):
            yield f"{name} needs {required.name}{required.specifier}, found {version}"


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_threads(setting: str | None, cpus: int) -> Finding:
    """Check how many threads a driver's own computations use; workers always use one."""
    if setting is None:
        seen = f"{cpus} CPUs; OMP_NUM_THREADS is not set: the driver uses them all, each worker one"
        return Finding("threads", "ok", seen)
    if not setting.isdigit() or int(setting) < 1:
        return Finding(
            "threads",
            "wrong",
            f"OMP_NUM_THREADS={setting}",
            "set OMP_NUM_THREADS to a number of at least 1, or unset it",
        )
    seen = f"OMP_NUM_THREADS={setting} on {cpus} CPUs"
    if int(setting) > cpus:
        return Finding("threads", "note", seen, f"set OMP_NUM_THREADS to at most {cpus}")
    return Finding("threads", "ok", f"{seen}; each worker uses one thread")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < OPEN_FILES:
        return Finding(
            "open files",
            "note",
            f"at most {soft} (hard limit {hard})",
            f"run `ulimit -n {OPEN_FILES}` before Ray is started",
        )
    return Finding("open files", "ok", f"at most {soft}")
