"""Follow a job: print its log as it grows, reconnect when the connection breaks, until it ends."""

import asyncio
import time
from contextlib import suppress

from jobs.cluster.connection import UnreachableError
from jobs.cluster.job import Job, JobState
from jobs.cluster.job_server import JobServer
from jobs.command.exit import DONE, INTERRUPTED
from otcondense.errors import InputError

FAILED = 1
"""Exit status for a job that failed before its command could set one."""
RETRY_SECONDS = 2.0
"""Pause before the log of a running job is read again."""
RECONNECT_SECONDS = 600.0
"""Reconnect after this many seconds: a dropped peer would otherwise go unnoticed."""
UNREACHABLE_SECONDS = 60.0
"""Stop following a cluster that does not answer for so long; the job itself continues."""
STOP_SECONDS = 60.0
"""A stopped job must end within this time; Ray kills it after 3 s."""
STOP_POLL_SECONDS = 0.5
"""Pause between two looks at a job that is to stop."""


def follow(server: JobServer, name: str) -> int:
    """Print the log of a job until it ends.

    Returns: its exit status: 0 if it succeeded, 130 if it was stopped, else that of its driver.
    Raises: InputError if there is no such job, or the cluster stays unreachable.
    """
    job = server.job(name)
    printer = _LogPrinter()
    lost: float | None = None
    while not job.state.has_ended:
        printer.follow(server, name)
        try:
            job = server.job(name)
            lost = None
        except UnreachableError:
            lost = lost or time.monotonic()
            if time.monotonic() - lost > UNREACHABLE_SECONDS:
                raise
        if not job.state.has_ended:
            time.sleep(RETRY_SECONDS)
    printer.print_rest(server.log(name))
    return exit_status(job)


class _LogPrinter:
    """Prints a log once, even though every connection sends it from the start."""

    def __init__(self) -> None:
        self._printed = 0
        """Characters that are on the terminal."""

    def follow(self, server: JobServer, name: str) -> None:
        """Print the log as it grows, while the connection holds."""
        # A broken connection says nothing about the job. The caller asks next whether the cluster
        # still answers.
        with suppress(UnreachableError, TimeoutError):
            asyncio.run(self._follow(server, name))

    async def _follow(self, server: JobServer, name: str) -> None:
        position = 0
        async with asyncio.timeout(RECONNECT_SECONDS):
            async for text in server.follow_log(name):
                self._print_new(text, position)
                position += len(text)

    def print_rest(self, log: str) -> None:
        """Print the end of a complete log."""
        self._print_new(log, 0)

    def _print_new(self, text: str, position: int) -> None:
        """Print the part of `text`, which starts at `position` of the log, that is new."""
        print(text[max(0, self._printed - position) :], end="", flush=True)
        self._printed = max(self._printed, position + len(text))


def exit_status(job: Job) -> int:
    """Return the exit status of a job that has ended."""
    if job.state == JobState.SUCCEEDED:
        return DONE
    if job.state == JobState.STOPPED:
        return INTERRUPTED
    return job.exit_status or FAILED


def stop(server: JobServer, name: str) -> bool:
    """Stop a job and wait until it has ended; tells whether it was running.

    Raises: InputError if there is no such job, or it does not end.
    """
    was_running = server.stop(name)
    deadline = time.monotonic() + STOP_SECONDS
    while not server.job(name).state.has_ended:
        if time.monotonic() > deadline:
            raise InputError(
                f"job {name} was asked to stop and had not ended after {STOP_SECONDS:g} s; "
                "look at the cluster's dashboard"
            )
        time.sleep(STOP_POLL_SECONDS)
    return was_running
