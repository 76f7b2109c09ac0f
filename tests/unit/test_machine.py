"""Facts about the machine, also on systems that do not tell all of them, such as macOS."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otcondense import machine

LINUX_ONLY = re.compile(
    r"sched_getaffinity|SC_AVPHYS|\"/proc|'/proc|/dev/shm|memfd_create|eventfd|posix_fadvise|"
    r"posix_fallocate|copy_file_range|prctl|pidfd|import fcntl|import resource"
)
ALLOWED = {
    "otcondense/machine.py": "the wrappers themselves",
    "otcondense/store/lock.py": "fcntl.flock, which macOS has",
    "otcondense/diffusion/node_tables.py": "several workers; it falls back to files of its own",
    "jobs/doctor/cluster.py": "a check of Ray's ports; /proc has no such folder elsewhere",
    "jobs/doctor/gpus.py": "a check of NVIDIA's driver, if it is there",
    "jobs/doctor/machine.py": "resource.getrlimit, which macOS has",
    "jobs/doctor/storage.py": "checks of mounts and shared memory, if they are there",
    "jobs/dashboard/server.py": "resource.getrlimit, which macOS has",
}
"""Files that may name what only some systems have, with the reason."""


def test_no_other_file_needs_linux() -> None:
    root = Path(machine.__file__).parents[1]
    found = {
        path.relative_to(root).as_posix()
        for folder in ("otcondense", "pipeline", "actors", "jobs")
        for path in (root / folder).rglob("*.py")
        if LINUX_ONLY.search(path.read_text())
    }
    assert found == set(ALLOWED)


def test_half_of_the_memory_is_free_where_the_system_does_not_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert 0 < machine.free_memory() < machine.total_memory()
    ask = os.sysconf

    def sysconf(name: str) -> int:
        if name == "SC_AVPHYS_PAGES":
            raise ValueError("unrecognized configuration name")
        return ask(name)

    monkeypatch.setattr(os, "sysconf", sysconf)
    assert machine.free_memory() == machine.total_memory() // 2


def test_memory_is_in_bytes_on_each_system(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    linux = machine.peak_memory()
    assert linux > 10**7
    monkeypatch.setattr(machine, "STATUS", tmp_path / "none")
    assert machine.peak_memory() >= 0.9 * linux
    linux = machine.peak_memory()
    monkeypatch.setattr("sys.platform", "darwin")
    assert machine.peak_memory() == pytest.approx(linux / 1024, rel=0.1)


def test_the_peak_of_a_process_is_not_that_of_its_parent() -> None:
    large = bytearray(400 * 2**20)
    script = "from otcondense import machine; print(machine.peak_memory())"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert int(run.stdout) < len(large)


def test_a_process_kept_to_one_cpu_has_one() -> None:
    kept = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(kept)})
        assert machine.usable_cpus() == 1
    finally:
        os.sched_setaffinity(0, kept)
    assert machine.usable_cpus() == len(kept)


def test_a_system_without_the_question_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.usable_cpus() == os.cpu_count()
