"""Runs in MLflow: a local store or a server."""

import csv
import io
import logging
import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from jobs.run_directory.trackers_config import MlflowConfig
from jobs.trackers.shown import flat
from jobs.trackers.tracker import Row, Subject

SWITCHES = {
    # The library would report its use to its makers.
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that does not answer is given up after a minute, not after a quarter of an hour.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""Variables of MLflow that are set unless the user sets them."""
NOT_IN_NAMES = re.compile(r"[^\w\-. /]")
"""Characters that names of metrics and parameters cannot have."""
MOST_PARAMETERS = 100
"""Parameters that MLflow takes at once."""
LONGEST = 500
"""Characters of a parameter that every server takes."""


class MlflowTracker:
    """One run in MLflow."""

    def __init__(self, config: MlflowConfig) -> None:
        self._config = config
        self._client: Any = None
        self._run = ""

    def start(self, subject: Subject) -> str:
        """Begin a run, or go on with it if the store has it.

        Raises: errors of the library.
        """
        for name, value in SWITCHES.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient

        logging.getLogger("mlflow").setLevel(logging.WARNING)
        self._client = MlflowClient(tracking_uri=self._config.uri)
        if not (subject.identity and self._goes_on(subject.identity)):
            tags = {"sweep": subject.group} if subject.group else {}
            made = self._client.create_run(self._experiment(), run_name=subject.title, tags=tags)
            self._run = str(made.info.run_id)
            self._parameters(subject)
        return self._run

    def _goes_on(self, identity: str) -> bool:
        """Open a run again; False if the store has none of this id."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.update_run(identity, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False
        self._run = identity
        return True

    def _experiment(self) -> str:
        """Return the id of the experiment; it is made unless another run has just made it."""
        from mlflow.exceptions import MlflowException

        name = self._config.experiment
        if self._client.get_experiment_by_name(name) is None:
            with suppress(MlflowException):
                return str(self._client.create_experiment(name))
        return str(self._client.get_experiment_by_name(name).experiment_id)

    def _parameters(self, subject: Subject) -> None:
        from mlflow.entities import Param

        named = dict(flat(subject.config))
        every = [Param(_name(key), text[:LONGEST]) for key, text in named.items()]
        for first in range(0, len(every), MOST_PARAMETERS):
            self._client.log_batch(self._run, params=every[first : first + MOST_PARAMETERS])
        self._client.log_dict(self._run, dict(subject.config), "configuration.json")

    def stage(self, name: str) -> None:
        """Show the stage as a tag."""
        self._client.set_tag(self._run, "stage", name)

    def values(self, group: str, values: Mapping[str, float], step: int | None) -> None:
        """Show values."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [
            Metric(_name(f"{group}/{name}"), value, now, step or 0)
            for name, value in values.items()
        ]
        self._client.log_batch(self._run, metrics=metrics)

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Keep a table as CSV."""
        self._client.log_text(self._run, _csv(rows), f"{_name(name)}.csv")

    def image(self, group: str, png: bytes, step: int) -> None:
        """Keep a picture."""
        self._keep(f"{_name(group)}/step-{step:06d}.png", png)

    def file(self, name: str, data: bytes) -> None:
        """Keep a file."""
        self._keep(name, data)

    def _keep(self, name: str, data: bytes) -> None:
        folder, _, file = name.rpartition("/")
        with tempfile.TemporaryDirectory(prefix="otcondense-mlflow-") as temporary:
            path = Path(temporary, file)
            path.write_bytes(data)
            self._client.log_artifact(self._run, str(path), folder or None)

    def finish(self, *, failed: bool) -> str:
        """End the run; return its id."""
        self._client.set_terminated(self._run, "FAILED" if failed else "FINISHED")
        return f"run {self._run} of experiment {self._config.experiment}"


def _name(text: str) -> str:
    """Return a name that MLflow takes."""
    return NOT_IN_NAMES.sub("_", text)


def _csv(rows: Sequence[Row]) -> str:
    sink = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(sink, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()
