"""Fetches the wheels of the bundle in the pinned versions."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmarks.gpu_bundle.changes import CHANGES
from benchmarks.gpu_bundle.contents import pinned_versions
from benchmarks.gpu_bundle.repack import repack

NEWEST_GLIBC = 28
"""Wheels may ask for glibc 2.28 (2018) at most; Debian 10, Ubuntu 20.04 and later have it."""
OLDEST_GLIBC = 5
"""The first that a wheel can ask for."""


def fetch(names: Iterable[str], python: str, folder: Path) -> None:
    """Write the wheels of some packages into a folder, without the files that nothing uses.

    Args:
        names: packages of `constraints.txt`.
        python: version of CPython that they are for, such as 3.12.
        folder: an existing folder.

    Raises: subprocess.CalledProcessError if a wheel cannot be fetched.
    """
    versions = pinned_versions()
    with tempfile.TemporaryDirectory() as fetched:
        pins = [f"{name}=={versions[name]}" for name in names]
        subprocess.run([*_command(python), "--dest", fetched, *pins], check=True)
        for wheel in sorted(Path(fetched).iterdir()):
            target = folder / wheel.name
            change = CHANGES.get(wheel.name.split("-")[0])
            if change is None:
                shutil.copyfile(wheel, target)
            else:
                repack(wheel, target, change)


def _command(python: str) -> list[str]:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"]
    kinds = ["--no-deps", "--only-binary", ":all:", "--implementation", "cp"]
    platforms = []
    for version in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1):
        platforms += ["--platform", f"manylinux_2_{version}_x86_64"]
    for older in ("manylinux2014", "manylinux2010", "manylinux1"):
        platforms += ["--platform", f"{older}_x86_64"]
    return [*pip, *kinds, "--python-version", python, *platforms]
