"""The request for a job: command, environment and resources, checked before it is sent."""

import argparse
import difflib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field

from jobs.cluster.job import Submission
from jobs.command.verbs import VERBS
from otcondense.config import Config
from otcondense.errors import InputError

SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY", re.IGNORECASE)
"""Names of environment variables that look like secrets."""
OVERRIDE = re.compile(r"[a-z][\w.]*=")
"""The start of `key=value` in the arguments of a verb."""


class JobRequest(Config):
    """A job as `python -m jobs.submit` describes it."""

    verb: str
    """Module of `jobs` to run."""
    arguments: tuple[str, ...] = ()
    """Its command line."""
    submission_id: str | None = None
    """Name of the job, unique on its cluster; the cluster chooses one if there is none."""
    environment: tuple[str, ...] = ()
    """Variables of the job as NAME=VALUE; no secrets, since the cluster shows and keeps them."""
    driver_cpus: float = Field(default=0, ge=0)
    """CPUs to reserve for the driver; 0 runs it on the head without a reservation."""
    driver_gpus: float = Field(default=0, ge=0)
    """GPUs to reserve for the driver, which runs the evaluation's network."""

    @property
    def entrypoint(self) -> str:
        """The command that the cluster runs."""
        return shlex.join(["python", "-m", f"jobs.{self.verb}", *self.arguments])

    def submission(self, package: str) -> Submission:
        """Return the request for the job server, with the name of the uploaded checkout."""
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
    if SECRET.search(name):
        raise InputError(
            f"--env {name} looks like a secret. The dashboard shows a job's environment and the "
            "cluster keeps it; give the secret to the nodes instead (a Kubernetes Secret, an "
            "instance role: cluster/README.md)"
        )
    return name, value


def known_verbs() -> list[str]:
    """Return the verbs that can run as a job."""
    return sorted(name for name, verb in VERBS.items() if verb.runs_on_cluster)


def check_request(request: JobRequest) -> None:
    """Find mistakes here that the job would only find on the cluster.

    Raises: InputError for an unknown verb, a mistake in the configuration, or a run directory that
        would be deleted with the job.
    """
    verbs = known_verbs()
    if request.verb not in verbs:
        near = difflib.get_close_matches(request.verb, verbs, n=1) or verbs
        raise InputError(f"{request.verb} is not a verb of jobs; did you mean {', '.join(near)}?")
    request.variables()
    if VERBS[request.verb].takes_config:
        _check_run(_run_of(request.arguments))


def _check_run(run: str) -> None:
    if "://" not in run and not Path(run).is_absolute():
        raise InputError(
            "the run of a job must be an absolute path on storage that all nodes share, or a URI "
            f"such as s3://bucket/run, found {run!r}: below the job's own directory it would be "
            "deleted with the job; add --run"
        )


def _run_of(arguments: Sequence[str]) -> str:
    """Return the run directory that the arguments of a verb name."""
    from jobs.command.choice import DEFAULT_CONFIG
    from jobs.command.settings import load_config

    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config")
    parser.add_argument("--run")
    known, others = parser.parse_known_args(arguments)
    places = [word for word in others if "=" not in word and not word.startswith("-")]
    if known.config is None and (known.run or places):
        return str(known.run or places[0])
    overrides = [argument for argument in others if OVERRIDE.match(argument)]
    return load_config(known.config or DEFAULT_CONFIG, overrides, known.run).run
