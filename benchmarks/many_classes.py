"""Page, status and progress of a run with 100,000 classes or groups.

`python -m benchmarks.many_classes [--quick]`

The yardstick sends all classes to the browser, as the page does for few.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx

from actors.units import progress_of
from benchmarks.harness import finish
from benchmarks.page import METHOD, make_selection, seconds, serving
from jobs.command.progress import Progress
from jobs.dashboard.class_states import class_states
from jobs.dashboard.replies import LONGEST_PAUSE
from jobs.run_directory.bars import SELECTION_BAR
from jobs.run_directory.config import RunConfig
from jobs.run_directory.marker import write_marker
from jobs.run_directory.run import Run
from otcondense.store import UnitProgress, progress_file, read_all_progress, units_file

CLASSES = 100_000
QUICK_CLASSES = 5000
FAILED_EVERY = 10_000
"""One class in so many has failed."""
RUNNING = 64
"""Classes that run: as many as a node has cores."""
CHANGES = 10_000
"""Changes of the driver's progress that are timed."""
PAUSE = LONGEST_PAUSE + 1
"""Seconds after which the overview is read again, not taken from the memory of the page."""
KIB = 2**10
MIB = 2**20


def make_units(count: int) -> list[UnitProgress]:
    """Return classes that are done, some failed, and some queued."""
    done = progress_of(make_selection(0).summary)
    units = []
    for number in range(count):
        name = f"group~{number:06d}"
        unit = UnitProgress(
            name=f"{METHOD}, class {name}",
            class_name=name,
            method=METHOD,
            size=1000,
            budget=10,
            attempts=1,
            state="queued",
        )
        if number % FAILED_EVERY == 1:
            unit = unit.model_copy(update={"state": "failed", "message": "no memory"})
        elif number < count - RUNNING:
            unit = unit.model_copy(update={"state": "done", "seconds": 2.0, **done})
        units.append(unit)
    return units


def make_run(root: Path) -> Run:
    """Return a run that has only its marker."""
    run = Run(
        RunConfig(
            run=str(root / "run"),
            source={"path": str(root)},
            confidence={"kind": "none"},
            selection={"methods": [METHOD], "budget": 10},
        )
    )
    write_marker(run)
    return run


def driver(run: Run, units: list[UnitProgress]) -> dict[str, float]:
    """Follow the units as the driver of the selection does; return what it takes."""
    names = [unit.name for unit in units[-RUNNING:]]
    with Progress(run.store, *SELECTION_BAR) as progress:
        followed = seconds(lambda: progress.follow(units))
        for name in names:
            progress.change(name, {"state": "running", "started": time.time()})

        def change() -> None:
            for number in range(CHANGES):
                progress.update(names[number % RUNNING], {"swaps": number})

        changed = seconds(change)
        time.sleep(1.1)  # the next change writes the small file
        written = seconds(lambda: progress.update(names[0], {"swaps": 1}))
        small = run.store.size(progress_file(SELECTION_BAR.key))
    return {
        "all_units_seconds": followed,
        "all_units_mib": run.store.size(units_file(SELECTION_BAR.key)) / MIB,
        "news_seconds": written,
        "news_kib": small / KIB,
        "change_ms": 1000 * changed / CHANGES,
    }


def page(run: Run) -> dict[str, float]:
    """Open the page, look again, and ask for a part in another order."""
    with (
        serving(run) as (port, _),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
    ):
        first = seconds(lambda: client.get("/").raise_for_status())
        size = len(client.get("/api/run").content)
        time.sleep(PAUSE)
        again = seconds(lambda: client.get("/api/run").raise_for_status())
        query = {"method": METHOD, "order": "gap", "down": "true"}
        window = seconds(lambda: client.get("/api/classes", params=query).raise_for_status())
    return {
        "first_view_seconds": first,
        "overview_kib": size / KIB,
        "overview_again_seconds": again,
        "window_seconds": window,
    }


def everything(run: Run) -> dict[str, float]:
    """Read and send all classes: the yardstick."""
    sent = b""

    def send() -> None:
        nonlocal sent
        (stage,) = read_all_progress(run.store)
        states = class_states(stage.units, time.time())
        sent = b",".join(state.model_dump_json(exclude_defaults=True).encode() for state in states)

    return {"everything_seconds": seconds(send), "everything_mib": len(sent) / MIB}


def status(run: Run) -> dict[str, float]:
    """Print the status."""
    command = [sys.executable, "-m", "jobs.status", run.store.root]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {
        "status_seconds": time.perf_counter() - started,
        "status_lines": len(done.stdout.splitlines()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 classes in place of 100,000")
    classes = QUICK_CLASSES if parser.parse_args().quick else CLASSES
    with tempfile.TemporaryDirectory() as root:
        run = make_run(Path(root))
        figures: dict[str, Any] = {"classes": classes, **driver(run, make_units(classes))}
        figures |= page(run)
        figures |= status(run)
        figures |= everything(run)
    figures["less_time"] = figures["everything_seconds"] / figures["first_view_seconds"]
    for name, value in figures.items():
        print(f"{name:<32}{value:>12.4g}")
    bounds = {
        "overview_again_seconds": {"at_most": 1.0},
        "window_seconds": {"at_most": 1.0},
        "overview_kib": {"at_most": 100.0},
        "status_lines": {"at_most": 250.0},
    }
    raise SystemExit(0 if finish("many_classes", figures, bounds) else 1)


if __name__ == "__main__":
    main()
