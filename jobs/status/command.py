"""How far a run is, from its files alone."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from jobs.command.exit import DONE, PROBLEMS
from jobs.command.wording import (
    SILENT_SECONDS,
    current_command,
    is_at_rest,
    is_earlier,
    place_of_end,
    seconds_left,
    stage_state,
)
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.last_command import LastCommand, read_last_command
from jobs.run_directory.marker import read_marker, store_of
from jobs.run_directory.stages import place_of_bar
from otcondense.counts import counted, range_and_sum
from otcondense.durations import duration
from otcondense.errors import InputError
from otcondense.near_paths import found_at
from otcondense.store import (
    StageProgress,
    UnitProgress,
    read_all_progress,
)

MOST_LINES = 100
"""Running units that are listed, and failed ones: more than that is for a program to read."""

LEAST_WIDTHS = (35, 15, 13, 13)
"""Of the columns but the last, so that most runs have the same table."""


def status(directory: str, *, as_json: bool) -> int:
    """Print the state of every stage.

    Returns: the exit status: `PROBLEMS` if a unit failed.
    Raises: InputError if the directory holds no run.
    """
    store = store_of(directory)
    marker = read_marker(store)
    if marker is None:
        found = found_at(directory, "no run there")
        raise InputError(f"{directory} must be a run directory, {found}")
    stages = sorted(read_all_progress(store), key=lambda stage: place_of_bar(stage.stage))
    command = current_command(read_last_command(store), stages)
    now = time.time()
    configuration = marker.configuration or {}
    proofs = _proof_lines(directory) if configuration.get("groups") is not None else []
    if as_json:
        values = [_as_json(stage, now, command) for stage in stages]
        last = None if command is None else command.model_dump(mode="json")
        print(json.dumps({"run": directory, "command": last, "stages": values}))
    else:
        print_status(stages, now, command, proofs)
    return PROBLEMS if _units(stages, "failed") else DONE


def print_status(
    stages: Sequence[StageProgress],
    now: float,
    command: LastCommand | None = None,
    proofs: Sequence[str] = (),
) -> None:
    """Print one line for each stage, the running and failed units, and how it all ended.

    `proofs` are the lines about all groups of a subset.
    """
    rows: list[tuple[str, ...]] = [("stage", "done", "last start", "left", "state")]
    rows += [_stage_row(stage, now, command) for stage in stages]
    for line in _table(rows):
        print(line)
    for line in (*_budget_lines(stages), *proofs):
        print(line)
    unfinished = [each for each in stages if not (each.finished or is_at_rest(each, command))]
    running = [unit_line(unit, now) for unit in _units(unfinished, "running")]
    failed = [f"{unit.name}: {unit.message}" for unit in _units(stages, "failed")]
    for line in [*_shown("running", running), *_shown("failed", failed)]:
        print(line)
    if command is not None:
        print(_command_line(command, stages, now))


def _shown(state: str, lines: Sequence[str]) -> Iterator[str]:
    """Yield the first lines of one state, and how many more there are."""
    for line in lines[:MOST_LINES]:
        yield f"{state}: {line}"
    more = len(lines) - MOST_LINES
    if more > 0:
        yield f"{state}: {more:,} more; --json lists them all"


def _command_line(command: LastCommand, stages: Sequence[StageProgress], now: float) -> str:
    """Return what the last command does, or how it ended."""
    place = place_of_end(command, stages)
    at = time.strftime("%d %b %Y, %H:%M", time.localtime(command.ended or command.started))
    where = f" in {place}" if place else ""
    reason = f": {command.sentence}" if command.sentence else ""
    name = f"`otcondense {command.verb}`"
    return {
        "working": f"{name} started on {at}: {_work(command, stages, now)}",
        "finished": f"{name} finished on {at}",
        "interrupted": f"interrupted on {at}{where}{reason}; run the same command again to resume",
        "failed": f"{name} failed on {at}{where}{reason}",
    }[command.state]


def _work(command: LastCommand, stages: Sequence[StageProgress], now: float) -> str:
    """Return whether a command that has not ended gives news."""
    if any(stage_state(stage, now, command) == "running" for stage in stages):
        return "running"
    silent = now - max([command.started, *(stage.updated for stage in stages)])
    return "between stages" if silent < SILENT_SECONDS else f"no news for {duration(silent)}"


def _table(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield the lines of a table, its first column on the left and all others on the right.

    Each column is as wide as its longest cell needs, so that no two of them run together.
    """
    *columns, _ = zip(*rows, strict=True)
    widths = [max(map(len, column)) for column in columns]
    first, *others = map(max, widths, LEAST_WIDTHS)
    for title, *cells, state in rows:
        padded = [f"{cell:>{width}}" for cell, width in zip(cells, others, strict=True)]
        yield " ".join([f"{title:<{first}}", *padded]) + f"  {state}"


def _stage_row(stage: StageProgress, now: float, command: LastCommand | None) -> tuple[str, ...]:
    """Return the cells of a stage."""
    count = f"{stage.done:,}/{counted(stage.total, stage.unit)}"
    taken = "" if is_earlier(stage) else duration(stage.updated - stage.started)
    seconds = seconds_left(stage, command)
    left = "" if seconds is None else duration(seconds)
    state = stage_state(stage, now, command)
    return stage.title, count, taken, left, state


def _budget_lines(stages: Sequence[StageProgress]) -> Iterator[str]:
    """Yield what the budget of each subset comes to, from the units of the selection."""
    budgets: dict[str, list[int]] = {}
    unit_of = SELECTION_BAR.unit
    for stage in stages:
        if stage.stage == SELECTION_BAR.key:
            unit_of = stage.unit or SELECTION_BAR.unit
            for unit in stage.units:
                budgets.setdefault(unit.method, []).append(unit.budget)
    for subset, counts in budgets.items():
        if all(counts):
            yield f"budget: {subset}: {range_and_sum(counts, unit_of)}"


def _proof_lines(directory: str) -> list[str]:
    """Return objective, bound and gap of all groups of each subset of a run with groups.

    Subsets of earlier settings are left out, and all are if the run cannot be opened any more: what
    its stages have done is shown nevertheless.
    """
    # Other runs do not wait for NumPy and Arrow.
    from jobs.run_directory.opening import read_run
    from jobs.run_directory.subset_manifest import stored_composed

    lines = []
    with suppress(InputError):
        run = read_run(directory)
        for subset in run.config.selection.subsets:
            found = stored_composed(run, subset)
            lines += [] if found is None else [f"{subset}: {found.words()}"]
    return lines


def _units(stages: Sequence[StageProgress], state: str) -> list[UnitProgress]:
    return [unit for stage in stages for unit in stage.units if unit.state == state]


def unit_line(unit: UnitProgress, now: float) -> str:
    """Return what a worker is doing, in words."""
    parts = [unit.step or "starting"]
    if unit.swaps:
        parts.append(counted(unit.swaps, "swap"))
    if unit.objective is not None:
        parts.append(f"objective {unit.objective:.6g}")
    if unit.started:
        parts.append(duration(now - unit.started))
    return f"{unit.name}: {', '.join(parts)}"


def _as_json(stage: StageProgress, now: float, command: LastCommand | None) -> dict[str, Any]:
    derived = {
        "eta_seconds": seconds_left(stage, command),
        "state": stage_state(stage, now, command),
    }
    return stage.model_dump(mode="json") | derived
