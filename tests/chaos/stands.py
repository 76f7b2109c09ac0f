"""A fault needs something that can be started, disturbed, started again and compared."""

from pathlib import Path
from typing import Protocol

from tests.chaos.clusters import on_head, on_node
from tests.chaos.damage import damage, is_found, is_harmless, may_be_missing
from tests.chaos.faults import Fault
from tests.chaos.kinds import KINDS, Missed
from tests.chaos.subject import Subject, differences, finished
from tests.commands import Ended

RUN_KINDS = {**KINDS, "node_loss": on_node, "head_restart": on_head}


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
        if fault.kind != "damage":
            return RUN_KINDS[fault.kind](self._subject, self._run, fault)
        damage(self._subject, self._run, fault)
        if fault.settings["file"] != "config.yaml" and is_harmless(self._subject, self._run):
            raise Missed
        legal = fault.settings["how"] == "missing" and may_be_missing(fault.settings["file"])
        assert is_found(self._run) or legal, "jobs.verify finds nothing"
        return None

    def again(self) -> Ended:
        return self._subject.run(self._run)

    def finished(self) -> dict[str, int]:
        return finished(self._subject, self._run)

    def differences(self) -> list[str]:
        return differences(self._subject, self._run)
