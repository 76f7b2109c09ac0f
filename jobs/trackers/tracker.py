"""What a tracker is: a place of another tool that shows a run while it goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from otcondense.store import Store

Row = Mapping[str, str | float]
"""A row of a table by the names of its columns."""


@dataclass(frozen=True)
class Subject:
    """What a tracker shows: a run, or a trial of a sweep."""

    title: str
    config: Mapping[str, Any]
    """Its settings as JSON, without secrets."""
    store: Store
    """Of the run directory."""
    group: str = ""
    """The sweep that a trial belongs to; empty for a run."""
    identity: str = ""
    """What `start` returned at an earlier start; empty at the first one."""


class Tracker(Protocol):
    """One tool that shows runs.

    All methods are called one after another from one thread, `start` first. They may raise: then
    the tracker is given up, with a warning, and the run goes on.
    """

    def start(self, subject: Subject) -> str:
        """Begin, or go on with `subject.identity`; return the name of the run in the tool."""

    def stage(self, name: str) -> None:
        """Say that a stage has begun."""

    def values(self, group: str, values: Mapping[str, float], step: int | None) -> None:
        """Show values; None as the step says that each has one value, which replaces the last."""

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Show a table, which replaces the last one of this name."""

    def image(self, group: str, png: bytes, step: int) -> None:
        """Show a picture, a PNG file."""

    def file(self, name: str, data: bytes) -> None:
        """Keep a file with the run."""

    def finish(self, *, failed: bool) -> str:
        """End; return in words where the run can be seen."""
