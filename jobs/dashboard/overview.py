"""The progress of a run, stage by stage and class by class: the data of the first view."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from jobs.command.wording import (
    SILENT_SECONDS,
    current_command,
    place_of_end,
    seconds_left,
    stage_state,
)
from jobs.dashboard.class_states import (
    ClassState,
    class_states,
    selection_progress,
    state_of,
    usual_seconds,
)
from jobs.dashboard.class_window import MOST_SENT
from jobs.run_directory.bars import Bar
from jobs.run_directory.last_command import LastCommand, read_last_command
from jobs.run_directory.run import Run
from jobs.run_directory.stage_log import stage_seconds
from jobs.run_directory.stages import bars_of
from otcondense.config import Config
from otcondense.counts import counted
from otcondense.durations import duration
from otcondense.store import StageProgress, hash8, read_all_progress

MOST_FAILURES = 200
"""Failures that are sent; of many units, most fail for the same reason."""
WAITING = "waiting"
"""State of a stage that has not begun."""
RunState = Literal["waiting", "running", "silent", "stopped", "finished", "interrupted", "failed"]


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
    """In words: waiting, running, no news for …, interrupted, failed, not finished, finished, with
    the number of failures."""
    is_live: bool = False
    seconds: float = 0.0
    """Of the last start that had work to do."""
    eta_seconds: float | None = None
    time: str = ""
    """`seconds` in words; empty before the stage has begun."""
    left: str = ""
    """`eta_seconds` in words; empty if unknown."""
    failed: int = 0
    figures: dict[str, float] = Field(default_factory=dict)


class Failure(Config):
    """A failed unit of any stage."""

    stage: str
    name: str
    message: str


class Overview(Config):
    """All data of the first view."""

    run: str
    configuration: str
    """Digest of the configuration: a page of another one must be loaded again."""
    results: str
    """Digest that changes when a stage has ended, so that the answer is read again."""
    is_live: bool
    state: RunState
    """waiting: nothing has started. silent: a stage began and gives no news, in a long step or
    killed. stopped: the command has ended, but stages are left. interrupted, failed: the last
    command was."""
    place: str = ""
    """Title of the stage in which the last command was interrupted or failed; empty between two."""
    reason: str = ""
    """Why the last command failed, or where an interrupted training goes on."""
    dashboard: str = ""
    """Address of the dashboard of the Ray cluster that a command works on now; empty without."""
    took: str
    """Time of the stages over all starts, in words; empty before the first one has ended."""
    updated: float
    """Seconds since the epoch of the last news from any stage or command; 0 if there was none."""
    stages: tuple[StageView, ...]
    methods: tuple[str, ...]
    counts: dict[str, int]
    """Classes by state."""
    has_windows: bool = False
    """Whether there are too many classes to send; `/api/classes` sends some of them."""
    classes: tuple[ClassState, ...]
    """Each one under each method; empty if `has_windows`."""
    failures: tuple[Failure, ...]
    """At most `MOST_FAILURES`."""
    num_failures: int = 0
    """All failed units."""


def overview(run: Run) -> Overview:
    """Read the progress of a run.

    Raises: InputError if a file of progress is damaged.
    """
    now = time.time()
    stages = read_all_progress(run.store)
    bars = bars_of(run.config)
    command = current_command(read_last_command(run.store), stages)
    views = tuple(_stage_views(bars, stages, now, command))
    units = selection_progress(run, stages)
    usual = usual_seconds(units)
    has_windows = len(units) > MOST_SENT * len(run.config.selection.subsets)
    failures = tuple(_failures(stages))
    seconds = stage_seconds(run)
    configuration = hash8(run.config.model_dump(mode="json"))
    ended = [(stage.stage, stage.updated) for stage in stages if stage.finished]
    updated = max((stage.updated for stage in stages), default=0.0)
    if command is not None:
        updated = max(updated, command.started, command.ended)
    state = _run_state(_awaited(bars, stages), views, len(bars), now - updated, command)
    return Overview(
        run=run.config.run,
        configuration=configuration,
        results=hash8([configuration, ended, seconds]),
        is_live=any(view.is_live for view in views),
        state=state,
        place="" if command is None else place_of_end(command, stages),
        reason="" if command is None else command.sentence,
        dashboard=_dashboard(state, command),
        took=duration(sum(seconds.values())) if seconds else "",
        updated=updated,
        stages=views,
        methods=run.config.selection.subsets,
        counts=dict(Counter(state_of(unit, usual, now) for unit in units)),
        has_windows=has_windows,
        classes=() if has_windows else class_states(units, now),
        failures=failures[:MOST_FAILURES],
        num_failures=len(failures),
    )


def _dashboard(state: RunState, command: LastCommand | None) -> str:
    if state != "running" or command is None or not command.dashboard:
        return ""
    return f"http://{command.dashboard}"


def _awaited(bars: Sequence[Bar], stages: Sequence[StageProgress]) -> list[StageProgress]:
    """Return the stages of the table, and the one that gave news last.

    Others can be of an earlier configuration: what was interrupted then is not gone on with.
    """
    keys = {bar.key for bar in bars}
    newest = max((stage.updated for stage in stages), default=0.0)
    return [stage for stage in stages if stage.stage in keys or stage.updated == newest]


def _run_state(
    stages: Sequence[StageProgress],
    views: Sequence[StageView],
    length: int,
    silent: float,
    command: LastCommand | None,
) -> RunState:
    """Return what the run does.

    Args:
        stages: those whose end is waited for.
        views: of all stages, those of the table first.
        length: of the table.
        silent: seconds since the last news of any stage or command.
        command: the last one; None if it is unknown.
    """
    if command is not None and command.state in ("interrupted", "failed"):
        return command.state
    if any(view.is_live for view in views):
        return "running"
    is_complete = all(stage.finished for stage in stages) and views[length - 1].state != WAITING
    if command is not None and command.has_ended:
        return "finished" if is_complete else "stopped"
    if command is not None:
        # Between two stages: imports, the start of Ray or the report give no news.
        return "running" if silent < SILENT_SECONDS else "silent"
    if not stages:
        return "waiting"
    if not all(stage.finished for stage in stages):
        return "silent"
    if not is_complete:
        # The next stage begins with imports and the start of Ray, which give no news.
        return "running" if silent < SILENT_SECONDS else "stopped"
    return "finished"


def _failures(stages: Sequence[StageProgress]) -> Iterator[Failure]:
    for stage in stages:
        for unit in stage.units:
            if unit.state == "failed":
                yield Failure(stage=stage.title, name=unit.name, message=unit.message)


def _stage_views(
    bars: Sequence[Bar],
    stages: Sequence[StageProgress],
    now: float,
    command: LastCommand | None,
) -> Iterator[StageView]:
    """Yield the bars of the stage table in its order, then stages that the table lacks."""
    known = {stage.stage: stage for stage in stages}
    for bar in bars:
        stage = known.pop(bar.key, None)
        if stage is None:
            yield StageView(stage=bar.key, title=bar.title, state=WAITING)
        else:
            yield _stage_view(stage, now, command)
    for stage in known.values():
        yield _stage_view(stage, now, command)


def _stage_view(stage: StageProgress, now: float, command: LastCommand | None) -> StageView:
    state = stage_state(stage, now, command)
    seconds = max(0.0, stage.updated - stage.started)
    left = seconds_left(stage, command)
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
