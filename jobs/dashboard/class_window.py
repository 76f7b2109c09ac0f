"""A part of the classes of a run, filtered and sorted here: a browser cannot show 100,000."""

from collections.abc import Callable, Sequence

from pydantic import Field

from jobs.dashboard.class_states import (
    ClassState,
    class_state,
    measures_of,
    state_of,
    usual_seconds,
    with_stored_measures,
)
from jobs.dashboard.measures import STATES
from jobs.run_directory.run import Run
from otcondense.config import Config
from otcondense.datasets import order_classes
from otcondense.store import UnitProgress

MOST_SENT = 2000
"""A page with at most this many classes of a method gets all of them, and filters them itself."""
WINDOW = 500
"""Classes that are sent at once otherwise: some 100 kB."""
LONGEST = 250
"""Characters of a name or of a part of one."""
MOST_CLASSES = 10**9
"""No run has more classes; larger numbers are mistakes."""


class ClassWindow(Config):
    """Consecutive classes of a method under a filter and an order."""

    total: int
    """Classes of the method."""
    matching: int
    """Those that pass the filter."""
    start: int
    """Place of the first one shown, from 0."""
    classes: tuple[ClassState, ...]


class Wanted(Config):
    """What the viewer asks for."""

    method: str = Field(min_length=1, max_length=LONGEST)
    state: str = Field(default="", max_length=LONGEST)
    """One of `STATES`; empty for all."""
    search: str = Field(default="", max_length=LONGEST)
    """A part of the name, without regard to case."""
    order: str = Field(default="state", max_length=LONGEST)
    """class_name, state, or one of `MEASURES`."""
    down: bool = False
    """Whether the largest value comes first."""
    start: int = Field(default=0, ge=0, le=MOST_CLASSES)


def class_window(
    run: Run, units: Sequence[UnitProgress], wanted: Wanted, now: float
) -> ClassWindow:
    """Return the part of the classes that a viewer asks for.

    Classes without a value come last in both directions; equal ones are in the order of classes.

    Args:
        run: the run.
        units: of the selection, as `selection_progress` returns them.
        wanted: what is asked for; a start beyond the end gives the last part.
        now: seconds since the epoch.
    """
    usual = usual_seconds(units)
    own = [unit for unit in units if unit.method == wanted.method]
    kept = _matching(own, wanted, usual, now)
    ordered = _sorted(kept, wanted, usual, now)
    last = max(0, len(ordered) - 1) // WINDOW * WINDOW
    start = min(wanted.start, last)
    shown = ordered[start : start + WINDOW]
    return ClassWindow(
        total=len(own),
        matching=len(ordered),
        start=start,
        classes=tuple(class_state(each, usual, now) for each in with_stored_measures(run, shown)),
    )


def _matching(
    units: Sequence[UnitProgress], wanted: Wanted, usual: float, now: float
) -> list[UnitProgress]:
    part = wanted.search.strip().lower()
    kept = [unit for unit in units if part in unit.class_name.lower()] if part else list(units)
    if not wanted.state:
        return kept
    return [unit for unit in kept if state_of(unit, usual, now) == wanted.state]


def _sorted(
    units: list[UnitProgress], wanted: Wanted, usual: float, now: float
) -> list[UnitProgress]:
    places = {name: at for at, name in enumerate(order_classes(each.class_name for each in units))}
    units.sort(key=lambda unit: places[unit.class_name])
    if wanted.order == "class_name":
        return units[::-1] if wanted.down else units
    value = _value_of(wanted.order, usual, now)
    known: list[tuple[float, UnitProgress]] = []
    unknown: list[UnitProgress] = []
    for unit in units:
        number = value(unit)
        if number is None:
            unknown.append(unit)
        else:
            known.append((number, unit))
    known.sort(key=lambda each: each[0], reverse=wanted.down)
    return [unit for _, unit in known] + unknown


def _value_of(order: str, usual: float, now: float) -> Callable[[UnitProgress], float | None]:
    """Return what classes are sorted by: the urgency of their state, or a measure."""
    if order == "state":
        urgency = {state: at for at, state in enumerate(STATES)}
        return lambda unit: urgency[state_of(unit, usual, now)]
    return lambda unit: measures_of(unit, now).get(order)
