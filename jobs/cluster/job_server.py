"""The job server of a Ray cluster, over Ray's documented REST API.

Ray's own client would import Ray: seven seconds before the first request.
"""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

from jobs.cluster.connection import Connection, MissingError
from jobs.cluster.job import Job, Submission
from otcondense.errors import InputError

OLDEST_RAY = 2
"""Major version of Ray from which on the API has its present form."""


class JobServer:
    """The job server of one cluster.

    Raises: InputError from every method if the cluster cannot be reached, asks for a token, refuses
        the token, or does not know the job.
    """

    def __init__(self, address: str) -> None:
        self._connection = Connection(address)
        self._is_checked = False

    @property
    def address(self) -> str:
        """Address of the dashboard, without a slash at the end."""
        return self._connection.address

    @property
    def is_plain_and_remote(self) -> bool:
        """Whether the token travels readable over a network."""
        return self._connection.is_plain_and_remote

    def jobs(self) -> list[Job]:
        """Return all jobs that the cluster knows."""
        answer = self._connected().get("/api/jobs/")
        if not isinstance(answer, list):
            raise self._connection.unknown_answer()
        return [self._job(values) for values in answer]

    def job(self, name: str) -> Job:
        """Return one job."""
        return self._job(self._connected().get(_path(name)))

    def submit(self, submission: Submission) -> str:
        """Start a job and return its name."""
        answer = self._connected().post("/api/jobs/", submission.to_json())
        return str(self._field(answer, "submission_id"))

    def stop(self, name: str) -> bool:
        """Ask a job to stop; tells whether it was running."""
        answer = self._connected().post(_path(name, "/stop"))
        return bool(self._field(answer, "stopped"))

    def log(self, name: str) -> str:
        """Return all that a job has printed."""
        return str(self._field(self._connected().get(_path(name, "/logs")), "logs"))

    def follow_log(self, name: str) -> AsyncIterator[str]:
        """Yield the log of a job piece by piece from its start, until the connection ends."""
        return self._connection.messages(_path(name, "/logs/tail"))

    def has_package(self, name: str) -> bool:
        """Tell whether the cluster has a package, and keep it from being deleted for some time."""
        try:
            self._connected().request("GET", f"/api/packages/gcs/{name}")
        except MissingError:
            return False
        return True

    def upload_package(self, name: str, data: bytes) -> None:
        """Store a package on the cluster."""
        path = f"/api/packages/gcs/{name}"
        self._connected().request("PUT", path, data, kind="application/zip")

    def _connected(self) -> Connection:
        """Return the connection; the first call checks that a Ray dashboard answers there.

        Raises: InputError if something else answers, or a Ray that is too old.
        """
        if not self._is_checked:
            self._check_version()
            self._is_checked = True
        return self._connection

    def _check_version(self) -> None:
        try:
            answer = self._connection.get("/api/version")
        except MissingError as error:
            raise self._connection.unknown_answer() from error
        version = str(self._field(answer, "ray_version"))
        major = version.split(".", maxsplit=1)[0]
        if not major.isdecimal() or int(major) < OLDEST_RAY:
            raise InputError(
                f"the cluster at {self.address} must run Ray {OLDEST_RAY} or newer, found {version}"
            )

    def _job(self, values: Any) -> Job:
        try:
            return Job.from_json(values)
        except (KeyError, TypeError, ValueError) as error:
            raise self._connection.unknown_answer() from error

    def _field(self, answer: Any, name: str) -> Any:
        if not isinstance(answer, dict) or name not in answer:
            raise self._connection.unknown_answer()
        return answer[name]


def _path(job: str, below: str = "") -> str:
    return f"/api/jobs/{quote(job, safe='')}{below}"
