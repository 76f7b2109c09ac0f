"""How far a run is, class by class: what the first view shows."""

import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from pydantic import Field

from actors.selector import progress_of
from jobs.command.wording import stage_state
from jobs.run_directory.run import Run
from jobs.run_directory.stages import SELECTION_BAR, bars_of
from otcondense.config import Config
from otcondense.store import (
    StageProgress,
    UnitProgress,
    read_all_progress,
    selection_file,
    stored_metadata,
)

SLOW = 3.0
"""A class is slow once it has run this many times as long as the median of the finished ones."""
MEASURES = {
    "objective": "objective",
    "gap": "gap to the lower bound",
    "transport": "transport term",
    "statistics": "statistics term",
    "confidence": "confidence term",
    "left_out_share": "share left out",
    "seconds": "seconds",
    "swaps": "swaps",
    "size": "images",
}
"""What classes can be coloured and sorted by, in words."""
READERS = 8


class StageView(Config):
    """One stage of the run."""

    stage: str
    title: str
    unit: str = ""
    done: int = 0
    total: int = 0
    state: str
    """In words: waiting, running, no news for …, finished, with the number of failures."""
    is_live: bool = False
    seconds: float = 0.0
    eta_seconds: float | None = None
    failed: int = 0
    figures: dict[str, float] = Field(default_factory=dict)


class ClassState(Config):
    """One class under one method."""

    method: str
    class_name: str
    state: str
    """One of `UnitState`, or slow: running for far longer than the others took."""
    step: str = ""
    message: str = ""
    attempts: int = 0
    measures: dict[str, float] = Field(default_factory=dict)
    """By the names of `MEASURES`."""


class Failure(Config):
    """A unit of any stage that failed."""

    stage: str
    name: str
    message: str


class Overview(Config):
    """All of the first view."""

    run: str
    is_live: bool
    updated: float
    """Seconds since the epoch of the last word from any stage; 0 if there was none."""
    stages: tuple[StageView, ...]
    methods: tuple[str, ...]
    counts: dict[str, int]
    """Classes by state."""
    classes: tuple[ClassState, ...]
    failures: tuple[Failure, ...]


def overview(run: Run) -> Overview:
    """Read how far a run is.

    Raises: InputError if a file of progress is damaged.
    """
    now = time.time()
    stages = read_all_progress(run.store)
    views = tuple(_stage_views(run, stages, now))
    classes = tuple(_classes(run, stages, now))
    failures = [(stage, unit) for stage in stages for unit in stage.units if unit.state == "failed"]
    return Overview(
        run=run.config.run,
        is_live=any(view.is_live for view in views),
        updated=max((stage.updated for stage in stages), default=0.0),
        stages=views,
        methods=run.config.selection.methods,
        counts=dict(Counter(each.state for each in classes)),
        classes=classes,
        failures=tuple(
            Failure(stage=stage.title, name=unit.name, message=unit.message)
            for stage, unit in failures
        ),
    )


def _stage_views(run: Run, stages: Sequence[StageProgress], now: float) -> Iterator[StageView]:
    """Yield the stages in the order of the run, those that nothing is known of as waiting."""
    known = {stage.stage: stage for stage in stages}
    expected = {bar.key: bar.title for bar in bars_of(run.config)}
    others = [stage.stage for stage in stages if stage.stage not in expected]
    for name in [*expected, *others]:
        yield (
            _stage_view(known[name], now)
            if name in known
            else StageView(stage=name, title=expected[name], state="waiting")
        )


def _stage_view(stage: StageProgress, now: float) -> StageView:
    state = stage_state(stage, now)
    return StageView(
        stage=stage.stage,
        title=stage.title,
        unit=stage.unit,
        done=stage.done,
        total=stage.total,
        state=state,
        is_live=state == "running",
        seconds=max(0.0, stage.updated - stage.started),
        eta_seconds=stage.eta_seconds,
        failed=sum(unit.state == "failed" for unit in stage.units),
        figures=stage.figures,
    )


def _classes(run: Run, stages: Sequence[StageProgress], now: float) -> Iterator[ClassState]:
    """Yield every class and method; where the logs are gone, those whose selections are there."""
    units = next((stage.units for stage in stages if stage.stage == SELECTION_BAR.key), None)
    units = selections_on_disk(run) if units is None else units
    usual = statistics.median(
        [unit.seconds for unit in units if unit.state == "done" and unit.seconds] or [float("inf")]
    )
    for unit in units:
        seconds = now - unit.started if unit.state == "running" and unit.started else unit.seconds
        is_slow = unit.state == "running" and (seconds or 0.0) > SLOW * usual
        yield ClassState(
            method=unit.method,
            class_name=unit.class_name,
            state="slow" if is_slow else unit.state,
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
    found = {**{name: value for name, value in live.items() if value is not None}, **unit.measures}
    return {name: float(f"{value:.6g}") for name, value in found.items() if name in MEASURES}


def selections_on_disk(run: Run) -> tuple[UnitProgress, ...]:
    """Return the finished selections of the run's methods as units of progress, from their files."""
    places = [
        (method, name)
        for method in run.config.selection.methods
        for name in _class_names(run, method)
    ]
    with ThreadPoolExecutor(READERS) as pool:
        return tuple(pool.map(lambda place: _unit_on_disk(run, *place), places))


def _class_names(run: Run, method: str) -> list[str]:
    names = run.store.list(run.selection_directory(method))
    return [
        name.split("/")[-2].removeprefix("class_name=")
        for name in names
        if name.endswith("/selection.parquet")
    ]


def _unit_on_disk(run: Run, method: str, class_name: str) -> UnitProgress:
    metadata = stored_metadata(
        run.store, selection_file(run.selection_directory(method), class_name)
    )
    shared = {"name": f"{method}, class {class_name}", "method": method, "class_name": class_name}
    if metadata is None:
        return UnitProgress(
            **shared,
            state="failed",
            message="its file is damaged; run `python -m jobs.select_subset` again",
        )
    return UnitProgress(**shared, state="skipped", **progress_of(metadata.get("summary", {})))
