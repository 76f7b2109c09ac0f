"""Jobs on a cluster: submit, list, follow, stop."""

import argparse
import logging
import sys
import time
from collections.abc import Sequence

from jobs.cluster.job_server import JobServer, NotReadyError
from jobs.command.exit import INTERRUPTED
from jobs.submit.follow import follow, stop
from jobs.submit.request import JobRequest, check_request
from otcondense.durations import duration
from otcondense.errors import InputError

START_SECONDS = 60.0
"""How long a cluster that answers may take until it can start a job."""


def submit(server: JobServer, request: JobRequest, *, detach: bool) -> int:
    """Send a job and follow it, unless `detach` is set; returns its exit status.

    Raises: InputError for a mistake in the request, or if the cluster cannot take it.
    """
    check_request(request)
    job = _send(server, request)
    print(f"job {job} on {server.address}: {request.entrypoint}", flush=True)
    if detach:
        print(_hint(server, job))
        return 0
    return _follow(server, job)


def _send(server: JobServer, request: JobRequest) -> str:
    """Hand the job over, to a cluster that is still starting too; returns its name."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return server.call(lambda client: client.submit_job(**request.submission()))
        except NotReadyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def _follow(server: JobServer, job: str) -> int:
    try:
        status = follow(server, job)
    except KeyboardInterrupt:
        print(f"\nno longer followed; job {job} goes on\n{_hint(server, job)}", file=sys.stderr)
        return INTERRUPTED
    if status:
        print(f"job {job} ended with status {status}", file=sys.stderr)
    return status


def _hint(server: JobServer, job: str) -> str:
    verbs = ("follow", "stop")
    return "\n".join(
        f"  python -m jobs.submit {verb} {job} --address {server.address}" for verb in verbs
    )


def print_jobs(server: JobServer) -> None:
    """Print one line for each job that the cluster knows, the newest last."""
    jobs = [job for job in server.call(lambda client: client.list_jobs()) if job.submission_id]
    print(f"{'job':<32}{'state':<12}{'time':>14}  command")
    for job in sorted(jobs, key=lambda each: each.start_time or 0):
        started, ended = (job.start_time or 0) / 1000, (job.end_time or time.time() * 1000) / 1000
        print(
            f"{job.submission_id:<32}{job.status.value.lower():<12}{duration(ended - started):>14}  {job.entrypoint}"
        )


def _one_job(arguments: Sequence[str], verb: str) -> str:
    if len(arguments) != 1:
        raise InputError(
            f"{verb} takes the name of one job, found {len(arguments)}; `python -m jobs.submit list` shows them"
        )
    return arguments[0]


def run(options: argparse.Namespace, others: Sequence[str]) -> int:
    """Do what the command line asks for; returns the exit status."""
    # Ray's packaging prints a line for each ignore file; what goes wrong comes as an exception.
    logging.disable(logging.WARNING)
    server = JobServer(options.address)
    if server.is_plain_and_remote:
        print(
            f"note: {server.address} is not this machine and not https: the token travels readable; use a tunnel",
            file=sys.stderr,
        )
    if options.verb == "list":
        print_jobs(server)
        return 0
    if options.verb == "follow":
        return _follow(server, _one_job(others, "follow"))
    if options.verb == "stop":
        job = _one_job(others, "stop")
        print(f"job {job} stopped" if stop(server, job) else f"job {job} had ended before")
        return 0
    request = JobRequest(
        verb=options.verb,
        arguments=tuple(others),
        submission_id=options.id,
        environment=tuple(options.env),
        driver_cpus=options.driver_cpus,
        driver_gpus=options.driver_gpus,
    )
    return submit(server, request, detach=options.detach)
