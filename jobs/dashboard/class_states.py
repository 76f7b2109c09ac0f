"""The classes of a run under each method: their states and measures."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from actors.units import progress_of
from jobs.dashboard.class_view import selected_classes
from jobs.dashboard.measures import MEASURES
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.groups import unit_word
from jobs.run_directory.run import Run
from otcondense.config import Config
from otcondense.datasets import order_classes
from otcondense.datasets.stored import stored_classes
from otcondense.store import StageProgress, UnitProgress, stored_summary

SLOW_FACTOR = 3.0
"""A running class is slow after this many times the median time of the finished ones."""
READERS = 8
"""Threads that read selections: an object store answers slowly, but many requests at once."""
MOST_READ = 2000
"""Selections that are all read where no progress is kept; more would take minutes."""
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


def selection_progress(run: Run, stages: Sequence[StageProgress]) -> tuple[UnitProgress, ...]:
    """Return the progress of every class and method.

    Without logs, these are the selections on disk; before the first one, the classes of the source
    as soon as it is listed.
    """
    units = next((stage.units for stage in stages if stage.stage == SELECTION_BAR.key), None)
    if units is None:
        units = selections_on_disk(run) or tuple(_awaited(run))
    return units


def class_states(units: Sequence[UnitProgress], now: float) -> tuple[ClassState, ...]:
    """Return every class and method, in the order of classes."""
    usual = usual_seconds(units)
    return _in_order(class_state(unit, usual, now) for unit in units)


def _in_order(classes: Iterable[ClassState]) -> tuple[ClassState, ...]:
    """Return the classes of each method in their order everywhere else, not in that of the work."""
    found = list(classes)
    methods = list(dict.fromkeys(each.method for each in found))
    places = {name: at for at, name in enumerate(order_classes(each.class_name for each in found))}
    return tuple(
        sorted(found, key=lambda each: (methods.index(each.method), places[each.class_name]))
    )


def _awaited(run: Run) -> Iterator[UnitProgress]:
    """Yield the selections that will be made, while the source's features are extracted.

    Groups are not known then.
    """
    if run.config.groups is not None:
        return
    for method in run.config.selection.subsets:
        for name in stored_classes(run.store, run.config.source):
            yield _named(run, method, name)


def _named(run: Run, method: str, class_name: str) -> UnitProgress:
    """Return a selection that is known by its name only."""
    name = f"{method}, {unit_word(run.config)} {class_name}"
    return UnitProgress(name=name, method=method, class_name=class_name)


def usual_seconds(units: Sequence[UnitProgress]) -> float:
    """Return the median time of the finished classes; infinite if none has finished."""
    finished = [unit.seconds for unit in units if unit.state == "done" and unit.seconds]
    return statistics.median(finished) if finished else float("inf")


def state_of(unit: UnitProgress, usual: float, now: float) -> str:
    """Return the state of a class: one of `STATES`.

    Args:
        unit: the class.
        usual: seconds that others took.
        now: seconds since the epoch.
    """
    is_slow = unit.state == "running" and (_seconds(unit, now) or 0.0) > SLOW_FACTOR * usual
    return "slow" if is_slow else unit.state


def measures_of(unit: UnitProgress, now: float) -> dict[str, float | None]:
    """Return the measures of a class by the names of `MEASURES`, and others."""
    live: dict[str, float | None] = {
        "objective": unit.objective,
        "swaps": unit.swaps or None,
        "seconds": _seconds(unit, now),
        "size": unit.size,
    }
    return {**live, **unit.measures}


def _seconds(unit: UnitProgress, now: float) -> float | None:
    return now - unit.started if unit.state == "running" and unit.started else unit.seconds


def class_state(unit: UnitProgress, usual: float, now: float) -> ClassState:
    """Return a class as the page shows it; the arguments are those of `state_of`."""
    measures: dict[str, float] = {}
    for name, value in measures_of(unit, now).items():
        if name in MEASURES and value is not None:
            measures[name] = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
    return ClassState(
        method=unit.method,
        class_name=unit.class_name,
        state=state_of(unit, usual, now),
        step=unit.step,
        message=unit.message,
        attempts=unit.attempts,
        measures=measures,
    )


def selections_on_disk(run: Run) -> tuple[UnitProgress, ...]:
    """Return the finished selections of a run as units of progress.

    Above `MOST_READ` only their names are read; `with_stored_measures` reads some of the others.
    """
    found: list[UnitProgress] = []
    for method in run.config.selection.subsets:
        found += [_named(run, method, name) for name in selected_classes(run, method)]
    if len(found) > MOST_READ:
        return tuple(each.model_copy(update={"state": "skipped"}) for each in found)
    return tuple(_read(run, found))


def with_stored_measures(run: Run, units: Sequence[UnitProgress]) -> list[UnitProgress]:
    """Return units with their measures, from their files if the progress does not have them."""
    lacking = [unit for unit in units if unit.state == "skipped" and not unit.measures]
    read = {unit.name: unit for unit in _read(run, lacking)}
    return [read.get(unit.name, unit) for unit in units]


def _read(run: Run, units: Sequence[UnitProgress]) -> list[UnitProgress]:
    with ThreadPoolExecutor(READERS) as pool:
        return list(pool.map(lambda unit: _unit_on_disk(run, unit), units))


def _unit_on_disk(run: Run, unit: UnitProgress) -> UnitProgress:
    directory = run.selection_directory(unit.method)
    summary = stored_summary(run.store, directory, unit.class_name)
    if summary is None:
        message = f"its file is damaged; run `otcondense {SELECTION_BAR.key}` again"
        return unit.model_copy(update={"state": "failed", "message": message})
    return unit.model_copy(update={"state": "skipped", **progress_of(summary)})
