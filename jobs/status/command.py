"""How far a run is, from its files alone: `python -m jobs.status RUN [--json]`."""

import json
import time
from collections.abc import Sequence
from typing import Any

from jobs.command.exit import DONE, PROBLEMS
from jobs.command.wording import stage_state
from otcondense.durations import duration
from otcondense.errors import InputError
from otcondense.store import StageProgress, Store, UnitProgress, read_all_progress


def print_status(stages: Sequence[StageProgress], now: float) -> None:
    """Print one line for each stage, then what is being worked on, then every failure with its reason."""
    print(f"{'stage':<36}{'done':>16}{'time':>14}{'left':>14}  state")
    for stage in stages:
        left = stage.eta_seconds
        count = f"{stage.done}/{stage.total} {stage.unit}"
        taken = duration(stage.updated - stage.started)
        print(
            f"{stage.title:<36}{count:>16}{taken:>14}{'' if left is None else duration(left):>14}  {stage_state(stage, now)}"
        )
    for unit in (
        unit
        for stage in stages
        if not stage.finished
        for unit in stage.units
        if unit.state == "running"
    ):
        print(f"running: {unit_line(unit, now)}")
    for unit in (unit for stage in stages for unit in stage.units if unit.state == "failed"):
        print(f"failed: {unit.name}: {unit.message}")


def unit_line(unit: UnitProgress, now: float) -> str:
    """Return what a worker is doing, in words."""
    known = [unit.step or "starting"]
    known += [f"{unit.swaps} swaps"] if unit.swaps else []
    known += [f"objective {unit.objective:.6g}"] if unit.objective is not None else []
    known += [duration(now - unit.started)] if unit.started else []
    return f"{unit.name}: {', '.join(known)}"


def status(directory: str, *, as_json: bool) -> int:
    """Print the state of every stage.

    Returns: the exit status: `PROBLEMS` if a unit failed.
    Raises: InputError if the directory holds no run.
    """
    store = Store(directory)
    if not store.exists("config.yaml"):
        raise InputError(f"{directory} must be a run directory, found no config.yaml there")
    stages = read_all_progress(store)
    now = time.time()
    if as_json:
        values = [_as_json(stage, now) for stage in stages]
        print(json.dumps({"run": directory, "stages": values}))
    else:
        print_status(stages, now)
    has_failed = any(unit.state == "failed" for stage in stages for unit in stage.units)
    return PROBLEMS if has_failed else DONE


def _as_json(stage: StageProgress, now: float) -> dict[str, Any]:
    derived = {"eta_seconds": stage.eta_seconds, "state": stage_state(stage, now)}
    return stage.model_dump(mode="json") | derived
