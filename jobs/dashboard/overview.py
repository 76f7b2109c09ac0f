"""The progress of a run, stage by stage and class by class: the data of the first view."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from actors.units import progress_of
from jobs.command.wording import stage_state
from jobs.dashboard.class_view import selected_classes
from jobs.dashboard.measures import MEASURES
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.run import Run
from jobs.run_directory.stages import bars_of
from otcondense.config import Config
from otcondense.counts import counted
from otcondense.datasets.stored import stored_classes
from otcondense.durations import duration
from otcondense.store import (
    StageProgress,
    UnitProgress,
    read_all_progress,
    stored_summary,
)

SLOW_FACTOR = 3.0
"""A running class is slow after this many times the median time of the finished ones."""
READERS = 8
"""Threads that read selections: an object store answers slowly, but many requests at once."""
SIGNIFICANT_DIGITS = 6
"""Digits of a measure that are sent to the page, which shows four."""


class StageView(Config):
    """One stage of the run."""

    stage: str
    title: str
    unit: str = ""
    done: int = 0
    total: int = 0
    count: str = ""
    """What is done, in words, such as 3 of 20 classes; empty before the stage has begun."""
    state: str
    """In words: waiting, running, no news for …, finished, with the number of failures."""
    is_live: bool = False
    seconds: float = 0.0
    eta_seconds: float | None = None
    time: str = ""
    """`seconds` in words; empty before the stage has begun."""
    left: str = ""
    """`eta_seconds` in words; empty if unknown."""
    failed: int = 0
    figures: dict[str, float] = Field(default_factory=dict)


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


class Failure(Config):
    """A failed unit of any stage."""

    stage: str
    name: str
    message: str


class Overview(Config):
    """All data of the first view."""

    run: str
    is_live: bool
    updated: float
    """Seconds since the epoch of the last news from any stage; 0 if there was none."""
    stages: tuple[StageView, ...]
    methods: tuple[str, ...]
    counts: dict[str, int]
    """Classes by state."""
    classes: tuple[ClassState, ...]
    failures: tuple[Failure, ...]


def overview(run: Run) -> Overview:
    """Read the progress of a run.

    Raises: InputError if a file of progress is damaged.
    """
    now = time.time()
    stages = read_all_progress(run.store)
    views = tuple(_stage_views(run, stages, now))
    classes = tuple(_classes(run, stages, now))
    return Overview(
        run=run.config.run,
        is_live=any(view.is_live for view in views),
        updated=max((stage.updated for stage in stages), default=0.0),
        stages=views,
        methods=run.config.selection.subsets,
        counts=dict(Counter(state.state for state in classes)),
        classes=classes,
        failures=tuple(_failures(stages)),
    )


def _failures(stages: Sequence[StageProgress]) -> Iterator[Failure]:
    for stage in stages:
        for unit in stage.units:
            if unit.state == "failed":
                yield Failure(stage=stage.title, name=unit.name, message=unit.message)


def _stage_views(run: Run, stages: Sequence[StageProgress], now: float) -> Iterator[StageView]:
    """Yield the bars of the stage table in its order, then stages that the table lacks."""
    known = {stage.stage: stage for stage in stages}
    for bar in bars_of(run.config):
        stage = known.pop(bar.key, None)
        if stage is None:
            yield StageView(stage=bar.key, title=bar.title, state="waiting")
        else:
            yield _stage_view(stage, now)
    for stage in known.values():
        yield _stage_view(stage, now)


def _stage_view(stage: StageProgress, now: float) -> StageView:
    state = stage_state(stage, now)
    seconds = max(0.0, stage.updated - stage.started)
    left = stage.eta_seconds
    return StageView(
        stage=stage.stage,
        title=stage.title,
        unit=stage.unit,
        done=stage.done,
        total=stage.total,
        count=f"{stage.done:,} of {counted(stage.total, stage.unit)}" if stage.total else "",
        state=state,
        is_live=state == "running",
        seconds=seconds,
        eta_seconds=left,
        time=duration(seconds),
        left="" if left is None else duration(left),
        failed=sum(unit.state == "failed" for unit in stage.units),
        figures=stage.figures,
    )


def _classes(run: Run, stages: Sequence[StageProgress], now: float) -> Iterator[ClassState]:
    """Yield every class and method.

    Without logs, these are the selections on disk; before the first one, the classes of the source
    as soon as it is listed.
    """
    units = next((stage.units for stage in stages if stage.stage == SELECTION_BAR.key), None)
    if units is None:
        units = selections_on_disk(run) or tuple(_awaited(run))
    usual = _usual_seconds(units)
    for unit in units:
        yield _class_state(unit, usual, now)


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
