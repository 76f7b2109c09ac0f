"""Jobs of a Ray cluster as its job server describes them and takes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class JobState(StrEnum):
    """The states of a job, by Ray's names."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    @property
    def has_ended(self) -> bool:
        """Whether the state is final."""
        return self in (JobState.STOPPED, JobState.SUCCEEDED, JobState.FAILED)


@dataclass(frozen=True)
class Job:
    """A job that a cluster knows."""

    name: str
    """Empty for a driver that was not submitted to the job server."""
    state: JobState
    entrypoint: str
    """The command that the cluster runs."""
    started: float | None = None
    """Seconds since the epoch."""
    ended: float | None = None
    """Seconds since the epoch."""
    exit_status: int | None = None
    """Exit status of the driver, if it has ended by itself."""

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Job":
        """Read an answer of the job server.

        Raises: KeyError, TypeError or ValueError for an answer of another form.
        """
        return cls(
            name=values["submission_id"] or "",
            state=JobState(values["status"]),
            entrypoint=values["entrypoint"],
            started=_seconds(values.get("start_time")),
            ended=_seconds(values.get("end_time")),
            exit_status=values.get("driver_exit_code"),
        )


def _seconds(milliseconds: int | None) -> float | None:
    return milliseconds / 1000 if milliseconds else None


@dataclass(frozen=True)
class Submission:
    """A job to start on a cluster."""

    entrypoint: str
    package: str
    """Name of the uploaded package that becomes the working directory."""
    name: str | None
    """The cluster chooses a name if there is none."""
    environment: Mapping[str, str]
    metadata: Mapping[str, str]
    num_cpus: float
    """CPUs to reserve for the driver; 0 runs it on the head."""
    num_gpus: float

    def to_json(self) -> dict[str, Any]:
        """Return the request that the job server takes; optional fields are left out."""
        values: dict[str, Any] = {
            "entrypoint": self.entrypoint,
            "runtime_env": {
                "working_dir": f"gcs://{self.package}",
                "env_vars": dict(self.environment),
            },
            "metadata": dict(self.metadata),
            "submission_id": self.name,
            "entrypoint_num_cpus": self.num_cpus or None,
            "entrypoint_num_gpus": self.num_gpus or None,
        }
        return {name: value for name, value in values.items() if value is not None}
