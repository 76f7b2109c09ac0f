"""Faults of a sweep: its driver, or the process of a trial."""

import signal
from pathlib import Path

import yaml

from tests.chaos.faults import Fault
from tests.chaos.kinds import Missed
from tests.chaos.subject import Subject
from tests.commands import Command, Ended
from tests.runs import results

# kappa * budget = 32 passes the 30 images of a class: that trial must fail and the others go on.
SWEEP = {"name": "chaos", "repeats": 0, "space": {"kappa": [1.05, 1.5, 8.0]}}
TRIAL = "ray::ImplicitFunc"


class SweepStand:
    """A sweep of subsets in a copy of the undisturbed run."""

    def __init__(self, subject: Subject, run: Path, wanted: dict[str, bytes]) -> None:
        self._subject, self._run, self._wanted = subject, run, wanted

    @classmethod
    def undisturbed(cls, subject: Subject) -> dict[str, bytes]:
        """Write the sweep's file, and return the results of the sweep."""
        (subject.root / "sweep.yaml").write_text(yaml.safe_dump(SWEEP))
        with subject.without(None) as run:
            stand = cls(subject, run, {})
            ended = stand.again()
            assert ended.code == 0, ended.output
            return stand._results()

    def _start(self) -> Command:
        return self._subject.start(
            self._run, "sweep", (f"--sweep={self._subject.root / 'sweep.yaml'}",)
        )

    def _results(self) -> dict[str, bytes]:
        (sweep,) = self._run.glob("sweeps/*")
        return results(sweep)

    def disturb(self, fault: Fault) -> Ended:
        command = self._start()
        try:
            has_begun = command.wait_until(lambda: bool(command.workers(TRIAL)))
            if (
                not has_begun
                or command.wait_until(lambda: False, fault.settings["delay"])
                or command.has_ended
            ):
                raise Missed
            number, trials = signal.Signals[fault.settings["signal"]], command.workers(TRIAL)
            if fault.settings["victim"] == "driver":
                command.signal(number)
            elif trials:
                trials[0].send_signal(number)
            else:
                raise Missed
            return command.end()
        finally:
            command.clean()

    def again(self) -> Ended:
        command = self._start()
        try:
            return command.end()
        finally:
            command.clean()

    def finished(self) -> dict[str, int]:
        trials = {
            name
            for name, content in self._results().items()
            if name.startswith("trials/") and self._wanted.get(name) == content
        }
        (sweep,) = self._run.glob("sweeps/*")
        return {
            name: (sweep / name).stat().st_mtime_ns
            for name in trials
            if b'"finished"' in self._wanted[name]
        }

    def differences(self) -> list[str]:
        found = self._results()
        return sorted(
            name for name in {*found, *self._wanted} if found.get(name) != self._wanted.get(name)
        )
