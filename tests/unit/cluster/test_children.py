"""The processes of a failed start are stopped, with all that they started."""

import subprocess
import sys
import time

import psutil
import pytest

from jobs.cluster.children import children_stopped_on_failure

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
time.sleep(60)
"""


def start(text: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", text], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_stops_what_was_started(failure: type[BaseException]) -> None:
    with start("import time; time.sleep(60)") as earlier:
        started: list[subprocess.Popen[str]] = []
        pids: list[int] = []

        def fail() -> None:
            with children_stopped_on_failure():
                started.append(start(STUBBORN))
                pids.append(int(started[0].stdout.readline()))
                raise failure

        with pytest.raises(failure):
            fail()
        process = started[0]
        grandchild = pids[0]
        assert process.poll() is not None or not psutil.pid_exists(process.pid)
        deadline = time.monotonic() + 5
        while psutil.pid_exists(grandchild) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not psutil.pid_exists(grandchild)
        assert earlier.poll() is None
        earlier.kill()
    process.stdout.close()


def test_a_success_leaves_everything_running() -> None:
    with children_stopped_on_failure():
        process = start("import time; time.sleep(60)")
    with process:
        assert process.poll() is None
        process.kill()
