"""Shows one run in one tracker, each value once over all starts of the run."""

from collections.abc import Mapping, Sequence

from jobs.trackers.errands import CLOSE_SECONDS, Errands
from jobs.trackers.memory import Memory
from jobs.trackers.tracker import Row, Subject, Tracker
from otcondense.store import sha256_bytes


class Courier:
    """The way of one run to one tracker. No method raises, and only `close` waits."""

    def __init__(
        self,
        tracker: Tracker,
        name: str,
        memory: Memory,
        subject: Subject,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        """Begin.

        Args:
            tracker: not yet started.
            name: what users call it.
            memory: what it was shown at earlier starts.
            subject: the run.
            close_seconds: how long `close` waits.
        """
        self.name = name
        self._tracker = tracker
        self._memory = memory
        self._place = ""
        self._errands = Errands(name, close_seconds)
        self._errands.send(lambda: memory.begin(tracker.start(subject)))

    def stage(self, name: str) -> None:
        """Say that a stage has begun."""
        self._errands.send(lambda: self._tracker.stage(name))

    def line(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Show the values of a step, unless this or a later step was shown."""

        def show() -> None:
            if self._memory.is_later(group, step):
                self._tracker.values(group, values, step)

        self._errands.send(show)

    def image(self, group: str, png: bytes, step: int) -> None:
        """Show a picture, unless that of this or a later step was shown."""

        def show() -> None:
            if self._memory.is_later(f"image {group}", step):
                self._tracker.image(group, png, step)

        self._errands.send(show)

    def values(self, group: str, values: Mapping[str, float], step: int | None = None) -> None:
        """Show values, unless they are those that were shown last."""

        def show() -> None:
            if values and self._memory.is_new(f"{group} {step}", dict(values)):
                self._tracker.values(group, values, step)

        self._errands.send(show)

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Show a table, unless it is empty or the one that was shown last."""

        def show() -> None:
            if rows and self._memory.is_new(f"table {name}", [dict(row) for row in rows]):
                self._tracker.table(name, rows)

        self._errands.send(show)

    def file(self, name: str, data: bytes) -> None:
        """Keep a file, unless it is the one that was kept last."""

        def show() -> None:
            if self._memory.is_new(f"file {name}", sha256_bytes(data)):
                self._tracker.file(name, data)

        self._errands.send(show)

    def keep(self) -> None:
        """Remember what was shown."""
        self._errands.send(self._memory.keep)

    def close(self, *, failed: bool) -> str:
        """Wait until everything is shown; return in words where, empty if it was given up."""

        def end() -> None:
            self._memory.keep()
            self._place = self._tracker.finish(failed=failed)

        self._errands.send(end)
        return self._place if self._errands.close() else ""
