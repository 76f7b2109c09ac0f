"""The page's server over real sockets: clients that hold connections, addresses, ports."""

import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
import uvicorn

from jobs.dashboard.__main__ import main, parser
from jobs.dashboard.server import (
    BACKLOG,
    LimitedProtocol,
    affordable_connections,
    listen,
)
from jobs.run_directory.run import Run
from otcondense.errors import InputError

HALF_SENT = [
    b"",
    b"G",
    b"GET / HTTP/1.1\r\n",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Header: ",
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HTTP/1.1\r\nHo",
]


async def answer(scope, receive, send) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"answered"})


class Hasty(LimitedProtocol):
    request_seconds = 0.3
    most_connections = 5


@pytest.fixture
def port() -> Iterator[int]:
    listener = listen("127.0.0.1", 0)
    config = uvicorn.Config(answer, http=Hasty, lifespan="off", log_level="error", backlog=BACKLOG)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


def connected(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(sent)
    return client


def everything(client: socket.socket) -> bytes:
    """Return what the server sends until it closes the connection."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


@pytest.mark.parametrize("sent", HALF_SENT)
def test_a_request_that_is_never_finished_is_cut_off(sent: bytes, port: int) -> None:
    with connected(port, sent) as client:
        assert everything(client).count(b"answered") == sent.count(b"\r\n\r\n")


def test_one_byte_at_a_time_gives_no_more_time(port: int) -> None:
    with connected(port) as client:
        client.settimeout(0.02)
        for _ in range(1000):
            try:
                client.sendall(b"a")
                if client.recv(1) == b"":
                    return
            except TimeoutError:
                continue
            except ConnectionError:
                return
    pytest.fail("the connection was kept for a thousand bytes")


def test_more_connections_than_allowed_close_the_oldest_idle_one(port: int) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(connected(port, b"GET")) for _ in range(40)]
        assert httpx.get(f"http://127.0.0.1:{port}/").text == "answered"
        assert everything(clients[0]) == b""


def test_the_limit_follows_the_limit_on_files() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 80, before[1]))
        assert 4 <= affordable_connections() < 80
        resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 5, before[1]))
        assert affordable_connections() == 4
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.slow
@pytest.mark.parametrize("files", [96, 256])
def test_the_page_answers_beside_300_half_sent_requests(files: int, run: Run) -> None:
    verb = f"{sys.executable} -m jobs.dashboard {run.store.root} --port=0"
    limited = f"ulimit -n {files}; exec env --default-signal=INT {verb}"
    with (
        subprocess.Popen(
            ["bash", "-c", limited], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as page,
        ExitStack() as stack,
    ):
        address = page.stdout.readline().strip()
        number = int(address.rsplit(":", 1)[1])
        assert httpx.get(f"{address}/static/page.css", timeout=60).status_code == 200
        for _ in range(300):
            stack.enter_context(connected(number, b"GET / HTTP/1.1\r\nHost: 127"))
        assert httpx.get(f"{address}/api/run", timeout=60).status_code == 200
        page.send_signal(signal.SIGINT)
        _, errors = page.communicate(timeout=60)
    assert page.returncode == 0
    assert errors == ""


@pytest.mark.parametrize("text", ["-1", "65536", "99999", "1e3", "x", "", "8266.0", "٨", "9" * 50])
def test_a_port_out_of_range_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["runs/a", f"--port={text}"])
    assert ended.value.code == 2
    assert "must be a number of 0 (any free port) to 65535" in capsys.readouterr().err


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "no-such-host.invalid", "300.1.1.1", "a" * 70, " ", "fe80::1", "é"]
)
def test_an_address_of_another_machine_is_refused(
    host: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([run.store.root, f"--host={host}", "--port=0"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "--host and --port must be an address of this machine and a free port" in said
    assert "Traceback" not in said


def test_a_port_that_is_taken_is_refused() -> None:
    with listen("127.0.0.1", 0) as first:
        taken = first.getsockname()[1]
        with pytest.raises(InputError, match=r"a free port, found '127\.0\.0\.1' and"):
            listen("127.0.0.1", taken)


def test_ipv6_is_served() -> None:
    with listen("::1", 0) as listener:
        assert listener.family == socket.AF_INET6
