"""One driver per run."""

import subprocess
import sys
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
