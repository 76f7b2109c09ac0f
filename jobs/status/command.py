"""How far a run is, from its files alone."""

import json
import time
from collections.abc import Iterator, Sequence
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
    Store,
    UnitProgress,
    read_all_progress,
)

MOST_LINES = 100
"""Running units that are listed, and failed ones: more than that is for a program to read."""


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
    grouped = configuration.get("groups") is not None
    proofs = list(_proof_lines(store, grouped=grouped))
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
    print(f"{'stage':<36}{'done':>16}{'last start':>14}{'left':>14}  state")
    for stage in stages:
        print(_stage_line(stage, now, command))
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


def _stage_line(stage: StageProgress, now: float, command: LastCommand | None) -> str:
    count = f"{stage.done:,}/{counted(stage.total, stage.unit)}"
    taken = "" if is_earlier(stage) else duration(stage.updated - stage.started)
    seconds = seconds_left(stage, command)
    left = "" if seconds is None else duration(seconds)
    state = stage_state(stage, now, command)
    return f"{stage.title:<36}{count:>16}{taken:>14}{left:>14}  {state}"


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


def _proof_lines(store: Store, *, grouped: bool) -> Iterator[str]:
    """Yield objective, bound and gap of all groups of each subset that was chosen from groups."""
    if not grouped:
        return
    # Other runs do not wait for NumPy and Arrow.
    from otcondense.selection.composed import COMPOSED, Composed
    from otcondense.store import stored_metadata

    for name in store.entries():
        if not name.startswith("subset-"):
            continue
        metadata = stored_metadata(store, name) or {}
        if COMPOSED in metadata:
            yield f"{metadata['method']}: {Composed.from_json(metadata[COMPOSED]).words()}"


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
