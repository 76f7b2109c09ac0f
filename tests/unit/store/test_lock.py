"""One driver per run."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from otcondense.errors import InputError
from otcondense.store import DriverLock, Store

HOLD = """
import sys, time
from otcondense.store import DriverLock, Store

lock = DriverLock(Store(sys.argv[1]))
lock.__enter__()
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_driver_is_refused_until_the_first_dies(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"process {first.pid}"):
            DriverLock(Store(str(tmp_path))).__enter__()
        first.kill()
        first.wait()
    with DriverLock(Store(str(tmp_path))) as lock:
        assert lock.is_held
    assert not lock.is_held


def test_an_object_store_cannot_lock_and_says_so() -> None:
    with DriverLock(Store("memory://bucket/locked")) as lock:
        assert not lock.is_held


def _hard_link(path: Path) -> None:
    target = path.parent.parent / "valuable"
    target.write_text("kept")
    path.hardlink_to(target)


def _link(path: Path) -> None:
    target = path.parent.parent / "valuable"
    target.write_text("kept")
    path.symlink_to(target)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    "make",
    [
        Path.mkdir,
        os.mkfifo,
        _link,
        _hard_link,
        _socket,
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.symlink_to(path),
        lambda path: path.symlink_to("/dev/null"),
    ],
    ids=["folder", "fifo", "link", "hard link", "socket", "dead link", "circle", "device"],
)
def test_only_a_plain_file_is_a_lock(make: Callable[[Path], None], tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    make(run / ".lock")
    with pytest.raises(InputError, match=r"the lock of a run must be a file .*\.lock"):
        DriverLock(Store(str(run))).__enter__()
    if (tmp_path / "valuable").exists():
        assert (tmp_path / "valuable").read_text() == "kept"


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_no_other_account_can_open_the_lock(umask: int, tmp_path: Path) -> None:
    before = os.umask(umask)
    try:
        with DriverLock(Store(str(tmp_path))):
            assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_the_lock_of_an_older_version_becomes_private(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("1")
    (tmp_path / ".lock").chmod(0o644)
    with DriverLock(Store(str(tmp_path))) as lock:
        assert lock.is_held
        assert stat.S_IMODE((tmp_path / ".lock").stat().st_mode) == 0o600
        assert (tmp_path / ".lock").read_text() == str(os.getpid())


def test_the_lock_of_another_account_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".lock").write_text("1")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(InputError, match="must belong to the account that runs it"):
        DriverLock(Store(str(tmp_path))).__enter__()


@pytest.mark.parametrize("place", ["file/run", "file/a/b", "file"])
def test_a_run_below_a_file_is_refused(place: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="the run must be a folder"):
        DriverLock(Store(str(tmp_path / place))).__enter__()


@pytest.mark.parametrize("root", ["/proc/run", "/proc/self/run", "/sys/run", "/dev/null/run"])
def test_a_run_that_cannot_be_created_is_refused(root: str) -> None:
    with pytest.raises(InputError, match=r"the (run|lock of a run) must be"):
        DriverLock(Store(root)).__enter__()


def test_a_run_with_too_long_a_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the run must be a folder"):
        DriverLock(Store(str(tmp_path / ("x" * 300)))).__enter__()


def test_a_refusal_leaves_no_file_open(tmp_path: Path) -> None:
    with DriverLock(Store(str(tmp_path))):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(InputError, match="held by another driver"):
                DriverLock(Store(str(tmp_path))).__enter__()
        assert len(list(Path("/proc/self/fd").iterdir())) == before
