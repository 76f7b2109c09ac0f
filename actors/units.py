"""A unit of work of a pool, and the changes of its progress that workers and drivers report."""

from typing import Protocol, TypedDict

from otcondense.store import SelectionSummary, UnitState, selection_measures


class Unit(Protocol):
    """A unit of work; each worker has a frozen dataclass of its own for it."""

    @property
    def name(self) -> str:
        """Unique within its stage; Ray's dashboard shows it."""


class UnitChanges(TypedDict, total=False):
    """Changed fields of an `otcondense.store.UnitProgress`, which explains each of them."""

    state: UnitState
    size: int
    step: str
    chosen: int
    swaps: int
    objective: float | None
    measures: dict[str, float]
    started: float
    seconds: float
    worker: str
    attempts: int
    message: str


ChangesByUnit = dict[str, UnitChanges]
"""Changes by the name of their unit."""


def progress_of(summary: SelectionSummary) -> UnitChanges:
    """Return the progress of a finished selection from its summary."""
    measures = selection_measures(summary)
    return {
        "objective": measures.get("objective"),
        "swaps": int(measures.get("swaps", 0)),
        "measures": measures,
        "step": "",
    }
