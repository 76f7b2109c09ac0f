"""A real head with token authentication on this machine's loopback, as `ray start` makes it."""

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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
        self.token_file, self.name = token_file, uuid.uuid4().hex
        # Ray's sockets lie below this directory, and the kernel allows them 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="oth"))
        self.port, self.dashboard_port = free_port(), dashboard_port or free_port()
        self.address = f"http://127.0.0.1:{self.dashboard_port}"
        self.node: subprocess.Popen[bytes] | None = None
        self.log = (self.folder / "start.log").open("w")
        command = [
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--head",
            "--block",
            f"--port={self.port}",
            f"--num-cpus={num_cpus}",
        ]
        command += [
            f"--dashboard-agent-listen-port={free_port()}",
            "--dashboard-host=127.0.0.1",
            f"--dashboard-port={self.dashboard_port}",
        ]
        command += [
            f"--temp-dir={self.folder}",
            "--object-store-memory=300000000",
            "--disable-usage-stats",
        ]
        self.process = subprocess.Popen(
            command,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,
        )
        self._wait()

    def add_node(self, num_cpus: int) -> None:
        """Start another node on this machine; `stop` ends it too."""
        command = [
            str(Path(sys.executable).with_name("ray")),
            "start",
            "--block",
            f"--address=127.0.0.1:{self.port}",
            f"--num-cpus={num_cpus}",
        ]
        command += [
            f"--dashboard-agent-listen-port={free_port()}",
            "--object-store-memory=100000000",
            "--disable-usage-stats",
        ]
        self.node = subprocess.Popen(
            command,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            env=self._environment(),
            start_new_session=True,
        )
        deadline = time.monotonic() + DEADLINE_SECONDS
        while (alive := self.alive_nodes()) < 2:
            assert self.node.poll() is None, Path(self.log.name).read_text()
            assert time.monotonic() < deadline, f"{alive} nodes are alive"
            time.sleep(0.2)

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
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_file)}
        # At 0 all of it stays on loopback; Ray then refuses a second node.
        token["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = str(int(not self.loopback))
        threads = {"OMP_NUM_THREADS": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
        kept["PATH"] = f"{Path(sys.executable).parent}:{kept['PATH']}"
        return {**kept, **token, **threads, MARK: self.name}

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                if self._ask("/api/jobs/").status_code == 200:
                    return
            except requests.ConnectionError:
                pass
            if time.monotonic() > deadline or self.process.poll() is not None:
                text = Path(self.log.name).read_text()
                self.stop()
                raise AssertionError(f"the head did not come up:\n{text}")
            time.sleep(0.2)

    def processes(self) -> list[int]:
        """The processes that carry this head's mark in their environment."""
        found, mark = [], f"{MARK}={self.name}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except (FileNotFoundError, PermissionError, ProcessLookupError):
                continue
        return found

    def stop(self) -> None:
        """End the head and wait until nothing of it is left."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
        deadline = time.monotonic() + 30
        while left := self.processes():
            for process in left:
                try:
                    os.kill(process, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            for started in filter(None, (self.process, self.node)):
                started.poll()
            assert time.monotonic() < deadline, f"processes of the head stay: {left}"
            time.sleep(0.1)
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)
