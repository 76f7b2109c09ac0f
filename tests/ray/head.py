"""A real head with token authentication on loopback, started by `ray start`."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import requests
from ray.util import get_node_ip_address

MARK = "OTCONDENSE_TEST_HEAD"
DEADLINE_SECONDS = 300.0
POLL_SECONDS = 0.2
STARTS = 3
"""Ray allows a node 30 s to start and no other time: an overloaded machine gets several tries."""
TOO_SLOW = "timed out during startup"
STARTED = "Ray runtime started"
"""Printed by `ray start`. Its dashboard answers earlier, and ends again if a start is too slow."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _without_environment(path: str) -> str:
    """Return a PATH without the folder of this Python."""
    own = Path(sys.executable).parent
    return os.pathsep.join(each for each in path.split(os.pathsep) if Path(each) != own)


class Head:
    """One head; `stop` ends every process that it started, by its id."""

    def __init__(
        self,
        token_file: Path,
        num_cpus: int = 2,
        dashboard_port: int | None = None,
        *,
        loopback: bool = True,
    ) -> None:
        self.loopback = loopback
        self.token_file = token_file
        self.name = uuid.uuid4().hex
        # Ray's sockets are below this directory, and the kernel allows them 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="oth"))
        self.port = free_port()
        self.dashboard_port = dashboard_port or free_port()
        self.address = f"http://127.0.0.1:{self.dashboard_port}"
        self.node: subprocess.Popen[bytes] | None = None
        self.log = (self.folder / "start.log").open("w")
        self.process = self._start_head(num_cpus)
        self._wait(num_cpus)

    def _start_head(self, num_cpus: int) -> subprocess.Popen[bytes]:
        return self._start(
            "--head",
            f"--port={self.port}",
            f"--num-cpus={num_cpus}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.dashboard_port}",
            f"--temp-dir={self.folder}",
            "--object-store-memory=300000000",
        )

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        command = [
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--block",
            f"--dashboard-agent-listen-port={free_port()}",
            "--disable-usage-stats",
            *options,
        ]
        return subprocess.Popen(
            command,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,
        )

    def add_node(self, num_cpus: int) -> None:
        """Start another node on this machine; `stop` ends it too."""
        self.node = self._start(
            f"--address=127.0.0.1:{self.port}",
            f"--num-cpus={num_cpus}",
            "--object-store-memory=100000000",
        )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (alive := self.alive_nodes()) < 2:
            assert self.node.poll() is None, self._log_text()
            assert time.monotonic() < deadline, f"{alive} nodes are alive"
            time.sleep(POLL_SECONDS)

    @property
    def gcs_address(self) -> str:
        """What drivers and nodes connect to."""
        return f"{'127.0.0.1' if self.loopback else get_node_ip_address()}:{self.port}"

    def alive_nodes(self) -> int:
        """How many nodes the head knows to be alive."""
        answer = self._ask("/api/v0/nodes").json()
        return sum(node["state"] == "ALIVE" for node in answer["data"]["result"]["result"])

    def jobs(self) -> set[str]:
        """The jobs that were sent to the head."""
        return {
            job["submission_id"] for job in self._ask("/api/jobs/").json() if job["submission_id"]
        }

    def _ask(self, path: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.token_file.read_text().strip()}"}
        return requests.get(f"{self.address}{path}", headers=headers, timeout=10)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        return {
            **kept,
            MARK: self.name,
            # As where the environment is not active: `python` is one without Ray.
            "PATH": _without_environment(kept["PATH"]),
            "OMP_NUM_THREADS": "1",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.token_file),
            "RAY_DASHBOARD_STARTUP_TIMEOUT_S": f"{DEADLINE_SECONDS:.0f}",
            # At 0 all ports stay on loopback; Ray then refuses a second node.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": str(int(not self.loopback)),
        }

    def _wait(self, num_cpus: int) -> None:
        """Wait until the head answers; start it again if Ray found it too slow."""
        deadline = time.monotonic() + STARTS * DEADLINE_SECONDS
        starts = 1
        while not self._answers():
            has_ended = self.process.poll() is not None
            text = self._log_text()
            if has_ended and TOO_SLOW in text and starts < STARTS:
                self._kill_processes()
                self.log.seek(0)
                self.log.truncate()
                self.process = self._start_head(num_cpus)
                starts += 1
            elif has_ended or time.monotonic() > deadline:
                self.stop()
                raise AssertionError(f"the head did not start:\n{text}")
            time.sleep(POLL_SECONDS)

    def _answers(self) -> bool:
        if STARTED not in self._log_text():
            return False
        try:
            return self._ask("/api/jobs/").status_code == 200
        except requests.RequestException:
            return False

    def _log_text(self) -> str:
        return Path(self.log.name).read_text()

    def processes(self) -> list[int]:
        """The processes that carry this head's mark in their environment."""
        mark = f"{MARK}={self.name}".encode()
        processes = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    processes.append(int(folder.name))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
        return processes

    def stop(self) -> None:
        """End the head and wait until all its processes have ended."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self._kill_processes()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _kill_processes(self) -> None:
        deadline = time.monotonic() + 30
        while left := self.processes():
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for started in filter(None, (self.process, self.node)):
                started.poll()
            assert time.monotonic() < deadline, f"processes of the head remain: {left}"
            time.sleep(0.1)
