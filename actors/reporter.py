"""The reporter of a unit: it tells the board about progress, and stops a cancelled unit."""

import os
import socket
import time
from typing import Any

import ray

# Ray owns the memory of the process title: other libraries write it without effect.
from ray._raylet import setproctitle  # type: ignore[attr-defined]
from ray.actor import ActorHandle

from actors.units import UnitChanges
from otcondense.selection.watch import Moment

SECONDS_BETWEEN_REPORTS = 1.0
SECONDS_OF_A_STAGE = 0.2
"""A new stage is reported unless the last report is younger: short units need no reports."""


class Cancelled(Exception):  # noqa: N818 - it ends a unit without being an error
    """The unit was cancelled."""


class Reporter:
    """Watches one unit.

    It reports to the board at each new stage and once a second, names the process after the unit,
    and stops the unit if it was cancelled. `ps` and the node pages of Ray's dashboard show the name
    of the process.

    Args:
        board: the actor that mirrors progress; None for no reports.
        name: name of the unit.
    """

    def __init__(self, board: ActorHandle[Any] | None, name: str) -> None:
        self._board = board
        self._name = name
        self._stage = ""
        self._reported = time.monotonic()

    def __call__(self, moment: Moment) -> None:
        """Take in the progress of the unit.

        Raises: Cancelled if the unit was cancelled.
        """
        if ray.get_runtime_context().is_canceled():
            raise Cancelled(self._name)

        is_new = moment.stage != self._stage
        if is_new:
            self._stage = moment.stage
            setproctitle(f"ray::{self._name}: {moment.stage}")

        interval = SECONDS_OF_A_STAGE if is_new else SECONDS_BETWEEN_REPORTS
        now = time.monotonic()
        if self._board is not None and now - self._reported >= interval:
            self._reported = now
            self._board.report.remote(self._name, changes_of(moment))


def changes_of(moment: Moment) -> UnitChanges:
    """Return the progress of a unit at a moment of its selection."""
    return {
        "step": moment.stage,
        "chosen": moment.chosen,
        "swaps": moment.swaps,
        "objective": moment.objective,
        "worker": this_worker(),
    }


def this_worker() -> str:
    """Return host and process number."""
    return f"{socket.gethostname()}:{os.getpid()}"
