"""A unit of work of a pool, and the changes of its progress that workers and drivers report."""

from typing import Protocol, TypedDict

from otcondense.errors import InputError
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


INTERRUPTED = "interrupted"
"""Message of a unit that was not finished because its command ended."""
ChangesByUnit = dict[str, UnitChanges]
"""Changes by the name of their unit."""


def unit_failure(cause: Exception) -> str:
    """Return the message of a user's mistake as it is, and any other error with its type."""
    if isinstance(cause, InputError):
        return str(cause)
    return f"{type(cause).__name__}: {cause}"


def progress_of(summary: SelectionSummary) -> UnitChanges:
    """Return the progress of a finished selection from its summary."""
    measures = selection_measures(summary)
    return {
        "objective": measures.get("objective"),
        "swaps": int(measures.get("swaps", 0)),
        "measures": measures,
        "step": "",
    }
