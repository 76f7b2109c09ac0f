"""The request for a job: command, environment and resources, checked before it is sent."""

import argparse
import shlex
from dataclasses import dataclass
from pathlib import Path

from jobs.cluster.job import Job, Submission
from jobs.command.parser import parser_of
from jobs.command.verbs import OF_JOBS, VERBS, Verb
from otcondense.credentials import (
    WHERE_INSTEAD,
    has_credentials,
    is_secret_name,
    is_secret_value,
)
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

START = "exec sh jobs/submit/start_job.sh "
"""Beginning of the entrypoint of a job; the script finds the Python that runs Ray."""


def shown_command(job: Job) -> str:
    """Return the command of a job as a person types it; that of another kind of job as it is."""
    is_ours = job.entrypoint.startswith(START)
    return f"otcondense {job.entrypoint.removeprefix(START)}" if is_ours else job.entrypoint


@dataclass(frozen=True)
class JobRequest:
    """A job as `otcondense submit` describes it."""

    verb: str
    """Module of `jobs` to run."""
    arguments: tuple[str, ...] = ()
    """Its command line."""
    submission_id: str | None = None
    """Name of the job, unique on its cluster; the cluster chooses one if there is none."""
    environment: tuple[str, ...] = ()
    """Variables of the job as NAME=VALUE; no secrets, since the cluster shows and keeps them."""
    driver_cpus: float = 0
    """CPUs to reserve for the driver; 0 runs it on the head without a reservation."""
    driver_gpus: float = 0
    """GPUs to reserve for the driver, as for `doctor`; no stage of a run can use them."""

    @property
    def command(self) -> str:
        """The command as a person types it."""
        return shlex.join(["otcondense", self.verb, *self.arguments])

    @property
    def entrypoint(self) -> str:
        """The command that the cluster runs."""
        return f"{START}{shlex.join([self.verb, *self.arguments])}"

    def submission(self, package: str) -> Submission:
        """Return the request for the job server, with the name of the uploaded package."""
        return Submission(
            entrypoint=self.entrypoint,
            package=package,
            name=self.submission_id,
            environment=self.variables(),
            metadata={"verb": self.verb},
            num_cpus=self.driver_cpus,
            num_gpus=self.driver_gpus,
        )

    def variables(self) -> dict[str, str]:
        """Return the environment.

        Raises: InputError for an entry without a value, or one that looks like a secret.
        """
        return dict(_variable(entry) for entry in self.environment)


def _variable(entry: str) -> tuple[str, str]:
    name, separator, value = entry.partition("=")
    if not name or not separator:
        raise InputError(f"--env must look like NAME=VALUE, found {name!r}")
    if is_secret_name(name) or is_secret_value(value):
        raise InputError(
            f"--env {name} looks like a secret, by its name or its value. The dashboard shows a "
            "job's environment and the cluster keeps it; give the secret to the nodes instead (a "
            "Kubernetes Secret, an instance role: cluster/README.md)"
        )
    return name, value


def known_verbs() -> list[str]:
    """Return the verbs that can run as a job."""
    return sorted(name for name, verb in VERBS.items() if verb.runs_on_cluster)


def check_request(request: JobRequest) -> argparse.Namespace:
    """Find mistakes here that the job would only find on the cluster.

    A mistake in the options of the verb ends the process with its usage, as the verb itself does.

    Returns: the options of the verb.

    Raises: InputError for a verb that cannot be submitted, credentials, a mistake in the
        configuration, or a run directory that would be deleted with the job.
    """
    _check_verb(request.verb)
    request.variables()
    for argument in request.arguments:
        if has_credentials(argument):
            raise InputError(
                "an argument of a job must be an address without credentials, found some in one, "
                f"which the cluster would show and keep; {WHERE_INSTEAD}"
            )
    options = _parsed(request)
    if VERBS[request.verb].takes_config:
        _check_run(_run_of(VERBS[request.verb], options))
    elif getattr(options, "run", None) is not None:
        _check_run(options.run)
    return options


def _run_of(verb: Verb, options: argparse.Namespace) -> str:
    """Return the run directory of a verb, and check its configuration as far as it is known here.

    That of an existing run may be on storage that only the nodes see.
    """
    from jobs.command.choice import chosen_config, named_run
    from jobs.command.settings import override

    root = named_run(options.run, options.words)
    if root is None or options.config is not None:
        return chosen_config(verb, options.config, options.run, options.words).run
    override({}, [word for word in options.words if "=" in word])
    return root


def _check_verb(verb: str) -> None:
    verbs = known_verbs()
    if verb in verbs:
        return
    if verb in VERBS:
        raise InputError(
            f"{verb} is not a verb of jobs: it works on one machine; run `otcondense {verb}` here"
        )
    every = [*verbs, *OF_JOBS]
    hint = did_you_mean(verb, every) or f"; there are {', '.join(every)}"
    raise InputError(f"{verb} is not a verb of jobs{hint}")


def _parsed(request: JobRequest) -> argparse.Namespace:
    """Return the options of the verb, read by its own parser."""
    parser = parser_of(request.verb)
    found: argparse.Namespace
    try:
        found = parser.parse_intermixed_args(request.arguments)
    except TypeError:  # a parser with commands of its own takes them in order only
        found = parser.parse_args(request.arguments)
    return found


def _check_run(run: str) -> None:
    if "://" not in run and not Path(run).is_absolute():
        raise InputError(
            "the run of a job must be an absolute path on storage that all nodes share, or a URI "
            f"such as s3://bucket/run, found {run!r}: below the job's own directory it would be "
            "deleted with the job; give such a path"
        )
