"""Submit, list, follow and stop jobs on a cluster."""

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from jobs.cluster.connection import NotReadyError
from jobs.cluster.job import Job
from jobs.cluster.job_server import JobServer
from jobs.command.exit import DONE, INTERRUPTED
from jobs.submit.follow import follow, stop
from jobs.submit.own_files import own_files
from jobs.submit.package import Package, pack
from jobs.submit.request import JobRequest, check_request, shown_command
from otcondense.durations import duration
from otcondense.errors import InputError

ROOT = Path(__file__).parents[2]
"""The folder of the workflow, which becomes the working directory of a job."""
START_SECONDS = 60.0
"""How long a cluster that answers may take until it can start a job."""
START_POLL_SECONDS = 1.0
"""Pause before a cluster that is starting is asked again."""


@dataclass(frozen=True)
class Options:
    """Options of `otcondense submit` itself."""

    address: str
    detach: bool


def run(options: Options, request: JobRequest) -> int:
    """Do what the command line asks for.

    Args:
        options: where to, and whether to follow.
        request: the verb and its arguments; the verbs list, follow and stop need no job of ours.

    Returns: the exit status.
    """
    server = JobServer(options.address)
    if server.is_plain_and_remote:
        print(
            f"note: {server.address} is not this machine and not https: "
            "anyone on the way can read the token; use a tunnel",
            file=sys.stderr,
        )
    match request.verb:
        case "list":
            if request.arguments:
                raise InputError(
                    f"list takes no further arguments, found {' '.join(request.arguments)}; "
                    "`otcondense submit follow ID` shows one job"
                )
            print_jobs(server)
            return DONE
        case "follow":
            return _follow(server, _one_job(request))
        case "stop":
            return _stop(server, _one_job(request))
        case _:
            return submit(server, request, detach=options.detach)


def _one_job(request: JobRequest) -> str:
    if len(request.arguments) != 1:
        raise InputError(
            f"{request.verb} takes the name of one job, found {len(request.arguments)}; "
            "`otcondense submit list` shows the names"
        )
    return request.arguments[0]


def submit(server: JobServer, request: JobRequest, *, detach: bool) -> int:
    """Submit a job and follow it, unless `detach` is set; returns its exit status.

    Raises: InputError for a mistake in the request, or if the cluster cannot take it.
    """
    package = pack(ROOT, own_files(check_request(request)))
    job = _send(server, request, package)
    print(f"job {job} on {server.address}: {request.command}", flush=True)
    if detach:
        print(_hint(server, job))
        return DONE
    return _follow(server, job)


def _send(server: JobServer, request: JobRequest, package: Package) -> str:
    """Upload the package and start the job; waits for a cluster that is still starting."""
    if not server.has_package(package.name):
        server.upload_package(package.name, package.data)
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return server.submit(request.submission(package.name))
        except NotReadyError:
            if time.monotonic() > deadline:
                raise
            time.sleep(START_POLL_SECONDS)


def _follow(server: JobServer, job: str) -> int:
    try:
        status = follow(server, job)
    except KeyboardInterrupt:
        print(f"\nno longer followed; job {job} continues\n{_hint(server, job)}", file=sys.stderr)
        return INTERRUPTED
    if status:
        print(f"job {job} ended with status {status}", file=sys.stderr)
    return status


def _stop(server: JobServer, job: str) -> int:
    was_running = stop(server, job)
    print(f"job {job} stopped" if was_running else f"job {job} had already ended")
    return DONE


def _hint(server: JobServer, job: str) -> str:
    commands = [
        f"  otcondense submit {verb} {job} --address {server.address}"
        for verb in ("follow", "stop")
    ]
    return "\n".join(commands)


def print_jobs(server: JobServer) -> None:
    """Print one line for each submitted job that the cluster knows, the newest last."""
    jobs = [job for job in server.jobs() if job.name]
    print(f"{'job':<32}{'state':<12}{'time':>14}  command")
    for job in sorted(jobs, key=lambda job: job.started or 0.0):
        state = job.state.value.lower()
        print(f"{job.name:<32}{state:<12}{duration(_seconds(job)):>14}  {shown_command(job)}")


def _seconds(job: Job) -> float:
    """Return how long a job has run; 0 before its start."""
    ended = job.ended or time.time()
    return ended - (job.started or ended)
