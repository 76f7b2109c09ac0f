"""The time that each stage took, kept in `logs/` because it differs from run to run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from otcondense.store import canonical_json

if TYPE_CHECKING:
    from jobs.run_directory.run import Run

STAGE_LOG = "logs/stages.jsonl"


@dataclass(frozen=True)
class LoggedTime:
    """One line of the log: a stage of one start."""

    stage: str
    seconds: float


def log_stage(run: Run, name: str, seconds: float) -> None:
    """Append the time of one stage."""
    line = LoggedTime(name, round(seconds, 2))
    run.store.append_line(STAGE_LOG, canonical_json(asdict(line)))


def stage_seconds(run: Run) -> dict[str, float]:
    """Return the seconds of each stage, summed over all starts of the run but killed ones."""
    seconds: dict[str, float] = {}
    for line in run.store.read_lines(STAGE_LOG, LoggedTime):
        seconds[line.stage] = seconds.get(line.stage, 0.0) + line.seconds
    return seconds


def print_stages(run: Run) -> None:
    """Print the time of each stage."""
    print("\nseconds, summed over all starts of this run (killed ones are not known)")
    for name, seconds in stage_seconds(run).items():
        print(f"  {name:<20}{seconds:>8.1f}")
