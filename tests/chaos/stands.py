"""A fault needs something that can be started, disturbed, started again and compared."""

from pathlib import Path
from typing import Protocol

from tests.chaos.clusters import on_head, on_node
from tests.chaos.damage import (
    damage,
    damage_behind_link,
    is_found,
    is_harmless,
    may_be_missing,
    put_obstacle,
)
from tests.chaos.faults import LOGS, MARKERS, Fault
from tests.chaos.kinds import KINDS, Missed
from tests.chaos.machine import MACHINE_KINDS
from tests.chaos.subject import Subject, differences, finished
from tests.commands import Ended

RUN_KINDS = {**KINDS, **MACHINE_KINDS, "node_loss": on_node, "head_restart": on_head}
AT_REST = {
    "damage": damage,
    "flip": damage,
    "log": damage,
    "obstacle": lambda _, run, fault: put_obstacle(run, fault),
    "link": damage_behind_link,
}
"""Kinds that change files while no command runs."""


class Stand(Protocol):
    """One try."""

    def disturb(self, fault: Fault) -> Ended | None:
        """Bring the fault about; returns how the disturbed start ended, None if there was none.

        Raises: Missed if the fault came too late, AssertionError if something is wrong already.
        """

    def again(self) -> Ended:
        """Start the same command once more, undisturbed."""

    def finished(self) -> dict[str, int]:
        """Return a mark of each finished piece of work, which changes if it is done again."""

    def differences(self) -> list[str]:
        """Return in which results it is not as undisturbed."""


class RunStand:
    """A copy of the undisturbed run in which one stage is still to do."""

    def __init__(self, subject: Subject, run: Path) -> None:
        self._subject, self._run = subject, run

    def disturb(self, fault: Fault) -> Ended | None:
        if fault.kind not in AT_REST:
            return RUN_KINDS[fault.kind](self._subject, self._run, fault)
        AT_REST[fault.kind](self._subject, self._run, fault)
        name = fault.settings["file"]
        if name not in (*MARKERS, *LOGS) and is_harmless(self._subject, self._run):
            raise Missed
        legal = name in (*LOGS, "report.html", "run.json") or may_be_missing(name)
        assert is_found(self._run) or legal, "jobs.verify finds nothing"
        self._look()
        return None

    def _look(self) -> None:
        """Look at the run as a person does who has not noticed the fault."""
        command = self._subject.start_on(self._run, "status")
        try:
            ended = command.end()
        finally:
            command.clean()
        assert ended.code == 0, f"jobs.status ended with {ended.code}: {ended.output[-2000:]}"

    def again(self) -> Ended:
        return self._subject.run(self._run)

    def finished(self) -> dict[str, int]:
        return finished(self._subject, self._run)

    def differences(self) -> list[str]:
        return differences(self._subject, self._run)
