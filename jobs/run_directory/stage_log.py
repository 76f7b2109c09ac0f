"""The time that each stage took, kept in `logs/` because it differs from run to run."""

import json

from jobs.run_directory.run import Run

STAGE_LOG = "logs/stages.jsonl"


def log_stage(run: Run, name: str, seconds: float) -> None:
    """Append the time of one stage."""
    run.store.append_line(STAGE_LOG, json.dumps({"stage": name, "seconds": round(seconds, 2)}))


def stage_seconds(run: Run) -> dict[str, float]:
    """Return the seconds of each stage, summed over all starts of the run."""
    seconds: dict[str, float] = {}
    for entry in run.store.read_lines(STAGE_LOG):
        seconds[entry["stage"]] = seconds.get(entry["stage"], 0.0) + entry["seconds"]
    return seconds


def print_stages(run: Run) -> None:
    """Print the time of each stage."""
    print("\nseconds, summed over all starts of this run")
    for name, seconds in stage_seconds(run).items():
        print(f"  {name:<20}{seconds:>8.1f}")
