"""What is sent to a cluster as a job: the command, the working tree, the environment; checked before anything leaves this machine."""

import argparse
import difflib
import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from jobs.command.cli import DEFAULT_CONFIG
from jobs.command.settings import load_config
from jobs.command.verbs import VERBS
from otcondense.config import Config
from otcondense.errors import InputError

ROOT = Path(__file__).parents[2]
SECRET = re.compile(r"TOKEN|SECRET|PASSWORD|CREDENTIAL|_KEY", re.IGNORECASE)


class JobRequest(Config):
    """A job as `python -m jobs.submit` describes it."""

    verb: str
    """Module of `jobs` to run."""
    arguments: tuple[str, ...] = ()
    """Its command line."""
    submission_id: str | None = None
    """Name of the job, unique on its cluster; the cluster makes one if there is none."""
    environment: tuple[str, ...] = ()
    """Variables of the job as NAME=VALUE; no secrets, since the cluster shows and keeps them."""
    driver_cpus: float = Field(default=0, ge=0)
    """CPUs to reserve for the driver; 0 lets it run on the head beside everything else."""
    driver_gpus: float = Field(default=0, ge=0)
    """GPUs to reserve for the driver, where the evaluation's network runs."""

    @property
    def entrypoint(self) -> str:
        """The command that the cluster runs."""
        return shlex.join(["python", "-m", f"jobs.{self.verb}", *self.arguments])

    def submission(self) -> dict[str, Any]:
        """Return the keyword arguments of `JobSubmissionClient.submit_job`."""
        return {
            "entrypoint": self.entrypoint,
            "submission_id": self.submission_id,
            "runtime_env": {"working_dir": str(ROOT), "env_vars": self.variables()},
            "metadata": {"verb": self.verb},
            "entrypoint_num_cpus": self.driver_cpus or None,
            "entrypoint_num_gpus": self.driver_gpus or None,
        }

    def variables(self) -> dict[str, str]:
        """Return the environment.

        Raises: InputError for an entry without a value, or one that looks like a secret.
        """
        pairs = [each.partition("=") for each in self.environment]
        for name, separator, _ in pairs:
            if not name or not separator:
                raise InputError(f"--env must look like NAME=VALUE, found {name!r}")
            if SECRET.search(name):
                raise InputError(
                    f"--env {name} looks like a secret, and a job's environment is shown on the dashboard and kept by the cluster; "
                    "give it to the nodes instead (a Kubernetes Secret, an instance role: cluster/README.md)"
                )
        return {name: value for name, _, value in pairs}


def known_verbs() -> list[str]:
    """Return the verbs that can run as a job."""
    return sorted(name for name, verb in VERBS.items() if verb.runs_on_cluster)


def check_request(request: JobRequest) -> None:
    """Find here what the job would only find on the cluster.

    Raises: InputError for an unknown verb, a mistake in the configuration, or a run directory that would be deleted with the job.
    """
    verbs = known_verbs()
    if request.verb not in verbs:
        near = difflib.get_close_matches(request.verb, verbs, n=1) or verbs
        raise InputError(f"{request.verb} is no verb of jobs; did you mean {', '.join(near)}?")
    request.variables()
    if VERBS[request.verb].takes_config:
        run = _run_of(request.arguments)
        if "://" not in run and not Path(run).is_absolute():
            raise InputError(
                f"the run of a job must be an absolute path on storage that all nodes share, or a URI such as s3://bucket/run, found {run!r}: "
                "below the job's own directory it would be deleted with it; add --run"
            )


def _run_of(arguments: Sequence[str]) -> str:
    """Return the directory of the run that the arguments of a verb describe."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--config", default=DEFAULT_CONFIG)
    parser.add_argument("--run")
    known, others = parser.parse_known_args(arguments)
    overrides = [each for each in others if re.match(r"[a-z][\w.]*=", each)]
    return load_config(known.config, overrides, known.run).run
