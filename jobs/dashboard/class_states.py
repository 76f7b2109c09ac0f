"""The classes of a run under each method: their states and measures."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from actors.units import progress_of
from jobs.dashboard.class_view import selected_classes
from jobs.dashboard.measures import MEASURES
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.run import Run
from otcondense.config import Config
from otcondense.datasets import order_classes
from otcondense.datasets.stored import stored_classes
from otcondense.store import StageProgress, UnitProgress, stored_summary

SLOW_FACTOR = 3.0
"""A running class is slow after this many times the median time of the finished ones."""
READERS = 8
"""Threads that read selections: an object store answers slowly, but many requests at once."""
SIGNIFICANT_DIGITS = 6
"""Digits of a measure that are sent to the page, which shows four."""


class ClassState(Config):
    """One class under one method."""

    method: str
    class_name: str
    state: str
    """One of `UnitState`, or slow: running for much longer than the others took."""
    step: str = ""
    message: str = ""
    attempts: int = 0
    measures: dict[str, float] = Field(default_factory=dict)
    """By the names of `MEASURES`."""


def class_states(run: Run, stages: Sequence[StageProgress], now: float) -> tuple[ClassState, ...]:
    """Return every class and method, in the order of classes.

    Without logs, these are the selections on disk; before the first one, the classes of the source
    as soon as it is listed.
    """
    units = next((stage.units for stage in stages if stage.stage == SELECTION_BAR.key), None)
    if units is None:
        units = selections_on_disk(run) or tuple(_awaited(run))
    usual = _usual_seconds(units)
    return _in_order(_class_state(unit, usual, now) for unit in units)


def _in_order(classes: Iterable[ClassState]) -> tuple[ClassState, ...]:
    """Return the classes of each method in their order everywhere else, not in that of the work."""
    found = list(classes)
    methods = list(dict.fromkeys(each.method for each in found))
    places = {name: at for at, name in enumerate(order_classes(each.class_name for each in found))}
    return tuple(
        sorted(found, key=lambda each: (methods.index(each.method), places[each.class_name]))
    )


def _awaited(run: Run) -> Iterator[UnitProgress]:
    """Yield the selections that will be made, while the source's features are extracted."""
    for method in run.config.selection.subsets:
        for name in stored_classes(run.store, run.config.source):
            yield UnitProgress(name=f"{method}, class {name}", method=method, class_name=name)


def _usual_seconds(units: Sequence[UnitProgress]) -> float:
    """Return the median time of the finished classes; infinite if none has finished."""
    finished = [unit.seconds for unit in units if unit.state == "done" and unit.seconds]
    return statistics.median(finished) if finished else float("inf")


def _class_state(unit: UnitProgress, usual: float, now: float) -> ClassState:
    seconds = unit.seconds
    state: str = unit.state
    if unit.state == "running":
        if unit.started:
            seconds = now - unit.started
        if (seconds or 0.0) > SLOW_FACTOR * usual:
            state = "slow"
    return ClassState(
        method=unit.method,
        class_name=unit.class_name,
        state=state,
        step=unit.step,
        message=unit.message,
        attempts=unit.attempts,
        measures=_measures(unit, seconds),
    )


def _measures(unit: UnitProgress, seconds: float | None) -> dict[str, float]:
    live = {
        "objective": unit.objective,
        "swaps": unit.swaps or None,
        "seconds": seconds,
        "size": unit.size,
    }
    measures: dict[str, float] = {}
    for name, value in {**live, **unit.measures}.items():
        if name in MEASURES and value is not None:
            measures[name] = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return measures


def selections_on_disk(run: Run) -> tuple[UnitProgress, ...]:
    """Return the finished selections of a run as units of progress, read from their files."""
    places: list[tuple[str, str]] = []
    for method in run.config.selection.subsets:
        places += [(method, name) for name in selected_classes(run, method)]
    with ThreadPoolExecutor(READERS) as pool:
        return tuple(pool.map(lambda place: _unit_on_disk(run, *place), places))


def _unit_on_disk(run: Run, method: str, class_name: str) -> UnitProgress:
    summary = stored_summary(run.store, run.selection_directory(method), class_name)
    unit = UnitProgress(name=f"{method}, class {class_name}", method=method, class_name=class_name)
    if summary is None:
        message = f"its file is damaged; run `otcondense {SELECTION_BAR.key}` again"
        return unit.model_copy(update={"state": "failed", "message": message})
    return unit.model_copy(update={"state": "skipped", **progress_of(summary)})
