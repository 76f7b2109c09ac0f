"""Following a job: its log as it grows, across lost connections, until it ends."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import aiohttp
from ray.job_submission import JobStatus, JobSubmissionClient

from jobs.cluster.job_server import JobServer, UnreachableError
from jobs.command.exit import INTERRUPTED
from otcondense.errors import InputError

FAILED = 1
RETRY_SECONDS = 2.0
RECONNECT_SECONDS = 600.0
"""A connection is opened anew after this long, since one whose other end vanished without a word would stay silent for ever."""
PATIENCE_SECONDS = 60.0
"""How long a cluster may stay silent before following is given up; the job itself goes on."""


def follow(server: JobServer, job: str) -> int:
    """Print the log of a job until it ends.

    Returns: its exit status: 0 done, 130 stopped, else what its driver ended with.
    Raises: InputError if there is no such job, or the cluster stays unreachable.
    """
    details, seen = server.call(lambda client: client.get_job_info(job)), 0
    lost: float | None = None
    while not details.status.is_terminal():
        seen = _print_log(server, job, seen)
        try:
            details, lost = server.call(lambda client: client.get_job_info(job)), None
        except UnreachableError:
            lost = lost or time.monotonic()
            if time.monotonic() - lost > PATIENCE_SECONDS:
                raise
        if not details.status.is_terminal():
            time.sleep(RETRY_SECONDS)
    print(server.call(lambda client: client.get_job_logs(job))[seen:], end="", flush=True)
    return exit_status(details)


def _print_log(server: JobServer, job: str, seen: int) -> int:
    """Print what the log has beyond the first `seen` characters while the connection holds; returns how many were printed in all."""
    printed = [seen]

    async def tail(client: JobSubmissionClient) -> None:
        position = 0
        async for text in client.tail_job_logs(job):
            print(text[max(0, printed[0] - position) :], end="", flush=True)
            position += len(text)
            printed[0] = max(printed[0], position)

    # A lost connection is no news of the job: whether the cluster is still there is what the caller asks next.
    with suppress(aiohttp.ClientError, UnreachableError, TimeoutError):
        server.call(lambda client: asyncio.run(asyncio.wait_for(tail(client), RECONNECT_SECONDS)))
    return printed[0]


def exit_status(details: Any) -> int:
    """Return the exit status of a job that has ended."""
    if details.status == JobStatus.SUCCEEDED:
        return 0
    if details.status == JobStatus.STOPPED:
        return INTERRUPTED
    return int(details.driver_exit_code or FAILED)


def stop(server: JobServer, job: str) -> bool:
    """Stop a job and wait until it has ended; tells whether it was running.

    Raises: InputError if there is no such job, or it does not end.
    """
    running = server.call(lambda client: client.stop_job(job))
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.call(lambda client: client.get_job_info(job)).status.is_terminal():
        if time.monotonic() > deadline:
            raise InputError(
                f"job {job} was told to stop and had not ended after {PATIENCE_SECONDS:g} s; look at the cluster's dashboard"
            )
        time.sleep(0.5)
    return running
