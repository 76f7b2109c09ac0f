"""The page's server: its socket, and the limits on what a client may hold open."""

import asyncio
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from otcondense.errors import InputError

REQUEST_SECONDS = 10.0
"""Time to send the whole head of a request; browsers send it at once."""
ANSWER_SECONDS = 300.0
"""Time to receive an answer; the largest has 1 MB compressed."""
MOST_CONNECTIONS = 128
"""Connections held open; a browser opens at most six."""
LEAST_CONNECTIONS = 4
RESERVED_FILES = 24
"""Files that the page itself opens while it answers: images, results, workers' pipes."""
OPEN_FILES = Path("/dev/fd")
"""The open files of the process that looks, on Linux and on macOS."""
BACKLOG = 64
"""Connections accepted at once, before the limit can close any."""
BACKLOG_SHARE = 8
"""The backlog is at most this part of the files that the process may open."""


class LimitedProtocol(H11Protocol):
    """HTTP/1.1 in which no client can hold a connection without using it.

    A client that does not send a whole request in time is cut off, and so is one that does not
    receive its answer. Above the largest number of connections, the oldest one that waits for a
    request is closed.
    """

    request_seconds = REQUEST_SECONDS
    answer_seconds = ANSWER_SECONDS
    most_connections = MOST_CONNECTIONS
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, at the price of the oldest one where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most_connections:
            oldest = self._oldest()
            self.connections.discard(oldest)  # it would stay until the loop closes it
            oldest.transport.abort()
        self._started = self.loop.time()
        self._limit(self.request_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._unlimited()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request; more parts do not give it more time."""
        answering = self._is_answering
        super().data_received(data)
        if self._is_answering and not answering:
            self._limit(self.answer_seconds)

    def on_response_complete(self) -> None:
        """Wait for the next request of the connection."""
        self._limit(self.request_seconds)
        super().on_response_complete()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _limit(self, seconds: float) -> None:
        self._unlimited()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _unlimited(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _oldest(self) -> "LimitedProtocol":
        """Return the oldest other connection, one that waits for a request if there is any."""
        others: list[Any] = [each for each in self.connections if each is not self]
        oldest: LimitedProtocol = min(
            others,
            key=lambda each: (each._is_answering, each._started),
        )
        return oldest


def run_server(app: ASGIApp, listener: socket.socket) -> None:
    """Answer requests on a listening socket until interrupted."""
    LimitedProtocol.most_connections = affordable_connections()
    # There is no access log: an address in it would show the token. Refused requests are no news.
    config = uvicorn.Config(
        app,
        http=LimitedProtocol,
        ws="none",
        backlog=affordable_backlog(),
        log_level="error",
        access_log=False,
        server_header=False,
    )
    with suppress(KeyboardInterrupt):  # how the page is meant to end
        uvicorn.Server(config).run(sockets=[listener])


def affordable_connections() -> int:
    """Return how many connections leave enough files for the page's own work."""
    open_files = len(list(OPEN_FILES.iterdir()))
    free = _allowed_files() - open_files - RESERVED_FILES - affordable_backlog()
    return max(LEAST_CONNECTIONS, min(MOST_CONNECTIONS, free))


def affordable_backlog() -> int:
    """Return how many connections may be accepted at once."""
    return max(LEAST_CONNECTIONS, min(BACKLOG, _allowed_files() // BACKLOG_SHARE))


def _allowed_files() -> int:
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if allowed == resource.RLIM_INFINITY else allowed


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on one address of this machine.

    Raises: InputError if the name is unknown, the address is not of this machine, or the port is
        taken or forbidden.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except (OSError, UnicodeError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise InputError(
            "--host and --port must be an address of this machine and a free port, found "
            f"{host!r} and {port}: {reason}; choose others"
        ) from error
