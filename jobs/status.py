"""How far a run is, from its files alone: `python -m jobs.status RUN [--json]`."""

import argparse
import json
import sys
import time
from collections.abc import Sequence

from jobs.cli import MISTAKE
from otcondense.errors import InputError
from otcondense.store import StageProgress, Store, UnitProgress, read_all_progress

FAILED = 1
SILENT_SECONDS = 60.0
"""A stage that has not been heard of for so long has ended, or is busy with something long."""


def stage_state(stage: StageProgress, now: float) -> str:
    """Return what a stage is doing, in words."""
    if stage.finished:
        failed = sum(unit.state == "failed" for unit in stage.units)
        return f"finished, {failed} failed" if failed else "finished"
    silent = now - stage.updated
    return "running" if silent < SILENT_SECONDS else f"no news for {duration(silent)}"


def duration(seconds: float) -> str:
    """Return a time as 5 s, 3 min 20 s or 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole // 60 % 60} min"


def print_status(stages: Sequence[StageProgress], now: float) -> None:
    """Print one line for each stage, then what is being worked on, then every failure with its reason."""
    print(f"{'stage':<36}{'done':>16}{'time':>14}{'left':>14}  state")
    for stage in stages:
        left = stage.eta_seconds
        count = f"{stage.done}/{stage.total} {stage.unit}"
        taken = duration(stage.updated - stage.started)
        print(f"{stage.title:<36}{count:>16}{taken:>14}{'' if left is None else duration(left):>14}  {stage_state(stage, now)}")
    for unit in (unit for stage in stages if not stage.finished for unit in stage.units if unit.state == "running"):
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


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the state of every stage and leave the process: 0 nothing failed, 1 something did, 2 a mistake of the user's."""
    parser = argparse.ArgumentParser(prog="python -m jobs.status", description=__doc__)
    parser.add_argument("run", help="directory of the run, or its URI such as s3://bucket/run")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    options = parser.parse_args(arguments)
    try:
        store = Store(options.run)
        if not store.exists("config.yaml"):
            raise InputError(f"{options.run} must be the directory of a run, found no config.yaml there")
        stages = read_all_progress(store)
    except InputError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        sys.exit(MISTAKE)
    now = time.time()
    if options.json:
        values = [stage.model_dump(mode="json") | {"eta_seconds": stage.eta_seconds, "state": stage_state(stage, now)} for stage in stages]
        print(json.dumps({"run": options.run, "stages": values}))
    else:
        print_status(stages, now)
    if any(unit.state == "failed" for stage in stages for unit in stage.units):
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
