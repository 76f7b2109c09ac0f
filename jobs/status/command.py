"""How far a run is, from its files alone."""

import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from jobs.command.exit import DONE, PROBLEMS
from jobs.command.wording import is_earlier, stage_state
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.budget_rules import range_and_sum
from jobs.run_directory.marker import read_marker, store_of
from jobs.run_directory.stages import place_of_bar
from otcondense.counts import counted
from otcondense.durations import duration
from otcondense.errors import InputError
from otcondense.store import StageProgress, UnitProgress, read_all_progress


def status(directory: str, *, as_json: bool) -> int:
    """Print the state of every stage.

    Returns: the exit status: `PROBLEMS` if a unit failed.
    Raises: InputError if the directory holds no run.
    """
    store = store_of(directory)
    if read_marker(store) is None:
        raise InputError(f"{directory} must be a run directory, found no run there")
    stages = sorted(read_all_progress(store), key=lambda stage: place_of_bar(stage.stage))
    now = time.time()
    if as_json:
        values = [_as_json(stage, now) for stage in stages]
        print(json.dumps({"run": directory, "stages": values}))
    else:
        print_status(stages, now)
    return PROBLEMS if _units(stages, "failed") else DONE


def print_status(stages: Sequence[StageProgress], now: float) -> None:
    """Print one line for each stage, then the running units, then every failure with its reason."""
    print(f"{'stage':<36}{'done':>16}{'time':>14}{'left':>14}  state")
    for stage in stages:
        print(_stage_line(stage, now))
    for line in _budget_lines(stages):
        print(line)
    unfinished = [stage for stage in stages if not stage.finished]
    for unit in _units(unfinished, "running"):
        print(f"running: {unit_line(unit, now)}")
    for unit in _units(stages, "failed"):
        print(f"failed: {unit.name}: {unit.message}")


def _stage_line(stage: StageProgress, now: float) -> str:
    count = f"{stage.done:,}/{counted(stage.total, stage.unit)}"
    taken = "" if is_earlier(stage) else duration(stage.updated - stage.started)
    left = ""
    if stage.eta_seconds is not None:
        left = duration(stage.eta_seconds)
    return f"{stage.title:<36}{count:>16}{taken:>14}{left:>14}  {stage_state(stage, now)}"


def _budget_lines(stages: Sequence[StageProgress]) -> Iterator[str]:
    """Yield what the budget of each subset comes to, from the units of the selection."""
    budgets: dict[str, list[int]] = {}
    for stage in stages:
        if stage.stage == SELECTION_BAR.key:
            for unit in stage.units:
                budgets.setdefault(unit.method, []).append(unit.budget)
    for subset, counts in budgets.items():
        if all(counts):
            yield f"budget: {subset}: {range_and_sum(counts)}"


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


def _as_json(stage: StageProgress, now: float) -> dict[str, Any]:
    derived = {"eta_seconds": stage.eta_seconds, "state": stage_state(stage, now)}
    return stage.model_dump(mode="json") | derived
