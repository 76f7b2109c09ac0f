"""Runs with very many classes or groups: the progress of their selection, without any features."""

import time
from collections.abc import Sequence

from jobs.command.progress import ENDED
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from otcondense.store import StageProgress, Store, UnitProgress, write_progress, write_units

METHOD = "geometry_aware"
IMAGES = 1000
BUDGET = 10
MEASURES = ("objective", "lower_bound", "gap", "transport", "statistics", "left_out_share")
"""Figures of a finished selection in the file of progress, about as many as a real one has."""
FAILED_EVERY = 10_000
RUNNING = 64
"""Units that run at the end of the list: as many as the cores of a node."""


def many_units(count: int, *, is_finished: bool = False) -> list[UnitProgress]:
    """Return units: most are done, some failed; unless finished, 64 run, one of them slowly."""
    now = time.time()
    units = []
    for number in range(count):
        name = f"group~{number:06d}"
        known = {
            "name": f"{METHOD}, class {name}",
            "class_name": name,
            "method": METHOD,
            "size": IMAGES + number % 1000,
            "budget": BUDGET,
            "attempts": 1,
        }
        units.append(UnitProgress(**known, **_changes(number, count, now, is_finished)))
    return units


def _changes(number: int, count: int, now: float, is_finished: bool) -> dict[str, object]:
    if number % FAILED_EVERY == FAILED_EVERY // 2:
        return {"state": "failed", "message": "features hold NaN; remove the image", "seconds": 1.0}
    if not is_finished and number >= count - RUNNING:
        started = now - (600 if number == count - RUNNING else 2)
        return {"state": "running", "started": started, "step": "swaps", "chosen": BUDGET}
    measures = dict.fromkeys(MEASURES, 1.0 + number * 7919 % 10007 / 10007)
    measures["gap"] = measures["gap"] / 20
    return {
        "state": "done",
        "seconds": 2.0 + number % 3,
        "objective": measures["objective"],
        "swaps": number % 40,
        "measures": measures,
    }


def write_many_units(store: Store, units: Sequence[UnitProgress], *, is_finished: bool) -> None:
    """Write the progress of the selection with these units, in two files as its driver does."""
    now = time.time()
    stage, title, unit = SELECTION_BAR
    progress = StageProgress(
        stage=stage,
        title=title,
        unit=unit,
        done=sum(unit.state in ENDED for unit in units),
        total=len(units),
        started=now - 60,
        updated=now,
        finished=is_finished,
        has_units_file=True,
    )
    write_units(store, stage, units)
    write_progress(store, progress)


def run_of_many_units(root: str, count: int, *, is_finished: bool = False) -> Run:
    """Write a run directory that has only its marker and the progress of its selection."""
    config = RunConfig(
        run=f"{root}/run",
        source={"path": root},
        confidence={"kind": "none"},
        selection={"methods": [METHOD], "budget": BUDGET},
    )
    run = Run(config)
    write_marker(run)
    units = many_units(count, is_finished=is_finished)
    write_many_units(run.store, units, is_finished=is_finished)
    return run
