"""The selection of some groups, for real; and made-up selections of all others.

`python -m benchmarks.scale.sampled select RUN GROUPS FIGURES`
`python -m benchmarks.scale.sampled fill RUN`
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from actors.selection_unit import SelectionUnit
from actors.selector import ClassSelector
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from jobs.work_units.listed import Listed
from jobs.work_units.selection import selection_units
from otcondense.store import (
    ClassSelection,
    SelectionSummary,
    read_class_features,
    selection_file,
    write_class_selection,
)

METHOD = "geometry_aware"


def all_units(run: Run) -> list[SelectionUnit]:
    """Return the units of the selection, the largest groups first."""
    return list(selection_units(run, METHOD, Listed.of(run)))


def select_some(run: Run, count: int) -> dict[str, float]:
    """Select groups that are evenly spaced by size, in this process, on one core.

    Returns: groups, their images, and seconds without the start of the process.
    """
    units = all_units(run)
    places = np.linspace(0, len(units) - 1, min(count, len(units))).round().astype(int)
    chosen = [units[place] for place in np.unique(places)]
    worker = ClassSelector(
        run.store.root,
        run.selection_view(),
        run.selection_confidences(),
        watcher_of=lambda _name: lambda _moment: None,
    )
    started = time.monotonic()
    cpu = time.process_time()
    for unit in chosen:
        worker.run(unit)
    return {
        "groups": len(units),
        "selected": len(chosen),
        "images": sum(unit.size for unit in units),
        "selected_images": sum(unit.size for unit in chosen),
        "select_seconds": time.monotonic() - started,
        "select_cpu_seconds": time.process_time() - cpu,
    }


def fill(run: Run) -> None:
    """Write made-up selections of all groups that have none, as the workers would."""
    directory = run.groups_directory()
    assert directory is not None
    indices = {name: number for number, name in enumerate(Listed.of(run).groups.sizes)}
    for unit in all_units(run):
        if run.store.exists(selection_file(unit.directory, unit.class_name)):
            continue
        features = read_class_features(run.store, directory, unit.class_name)
        made = made_up(unit, features.image_ids, features.sha256, index=indices[unit.class_name])
        write_class_selection(run.store, unit.directory, made, fingerprint=unit.fingerprint)


def made_up(
    unit: SelectionUnit, image_ids: list[str], sha256: list[str], *, index: int
) -> ClassSelection:
    """Return a selection of evenly spaced images; each represents its neighbours."""
    size = len(image_ids)
    budget = min(size, int(unit.settings["budget"]))
    chosen = np.linspace(0, size - 1, budget).round().astype(np.int64)
    assignment = chosen[np.minimum(np.arange(size) * budget // size, budget - 1)]
    return ClassSelection(
        class_name=unit.class_name,
        class_index=index,
        image_ids=image_ids,
        indices=chosen,
        received_mass=np.full(size, 1 / size),
        assignment=assignment,
        cross_entropy=None,
        sha256=sha256,
        rank=np.arange(budget),
        gain=np.linspace(1, 0, budget),
        summary=SelectionSummary(
            objective=1.0,
            lower_bound=0.95,
            swap_optimal=True,
            terms={"transport": 1.0},
            diagnostics={"gap": 0.05, "swaps": 0},
            left_out_share=0.0,
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", choices=("select", "fill"))
    parser.add_argument("run")
    parser.add_argument("count", type=int, nargs="?", default=0)
    parser.add_argument("figures", type=Path, nargs="?")
    arguments = parser.parse_args()
    run = read_run(arguments.run)
    if arguments.work == "fill":
        fill(run)
        return
    figures = select_some(run, arguments.count)
    assert arguments.figures is not None
    arguments.figures.write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    main()
