"""What a worker says of the unit it works on, and how it learns that it is to stop."""

import os
import socket
import time
from dataclasses import asdict
from typing import Any

import ray
from ray._raylet import (
    setproctitle,  # Ray has taken over where the title lies: other libraries write it without effect
)
from ray.actor import ActorHandle

from otcondense.selection import Moment

SECONDS_BETWEEN_REPORTS = 1.0
SECONDS_OF_A_STAGE = 0.2
"""A stage is reported at once unless the last report is younger than this: short units need no reports at all."""


class Cancelled(Exception):  # noqa: N818 - it ends a unit without being an error
    """The unit was asked to stop."""


class Reporter:
    """Watches one unit: tells the board at new stages and once a second, names the process after it, stops it when asked.

    The name of the process is what `ps` and the node pages of Ray's dashboard show.

    Args:
        board: the actor that mirrors progress; None tells nobody.
        name: of the unit.
    """

    def __init__(self, board: ActorHandle | None, name: str) -> None:
        self._board, self._name = board, name
        self._stage, self._told = "", time.monotonic()

    def __call__(self, moment: Moment) -> None:
        """Take in where the unit is.

        Raises: Cancelled if the unit is to stop.
        """
        if ray.get_runtime_context().is_canceled():
            raise Cancelled(self._name)
        is_new = moment.stage != self._stage
        if is_new:
            self._stage = moment.stage
            setproctitle(f"ray::{self._name}: {moment.stage}")
        since = time.monotonic() - self._told
        if self._board is not None and since >= (
            SECONDS_OF_A_STAGE if is_new else SECONDS_BETWEEN_REPORTS
        ):
            self._told += since
            self._board.report.remote(self._name, figures(moment))


def figures(moment: Moment) -> dict[str, Any]:
    """Return a moment by the names of `otcondense.store.UnitProgress`."""
    values = asdict(moment)
    return {"step": values.pop("stage"), **values, "worker": this_worker()}


def this_worker() -> str:
    """Return host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"
