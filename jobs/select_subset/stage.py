"""Choose the subset of every class: `python -m jobs.select_subset`."""

from typing import Any

from actors.board import BoardLink, open_board
from actors.crew import RayCrew, Unit
from actors.pool import Pool, PoolOutcome, refuse_failures
from actors.selector import SelectorActor, progress_of
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.run import Run
from jobs.run_directory.stages import SELECTION_BAR
from jobs.work_units.selection import selection_units
from otcondense.datasets import list_images
from otcondense.store import (
    UnitProgress,
    manifest_table,
    read_class_selection,
    read_fingerprint,
    selection_file,
    stored_metadata,
    write_table,
)


def select_subset(run: Run) -> None:
    """Run every method on every class, then write each method's manifest."""
    check_budgets(run)
    records = list_images(run.config.source)
    class_names = sorted({record.class_name for record in records})
    units = [
        unit
        for method in run.config.selection.methods
        for unit in selection_units(run, method, records)
    ]
    open_units = [unit for unit in units if not _is_done(run, unit)]
    _select(run, units, open_units)
    note(
        "select",
        f"{len(units)} selections of a class, {len(units) - len(open_units)} of them finished before",
    )
    for method in run.config.selection.methods:
        _write_manifest(run, method, class_names)


def _is_done(run: Run, unit: Unit) -> bool:
    return (
        read_fingerprint(run.store, selection_file(unit["directory"], unit["class_name"]))
        == unit["fingerprint"]
    )


def _select(run: Run, units: list[Unit], open_units: list[Unit]) -> None:
    waiting = {unit["name"] for unit in open_units}
    with Progress(run.store, *SELECTION_BAR) as progress:
        progress.follow([_followed(run, unit, is_open=unit["name"] in waiting) for unit in units])
        outcome = run_pool(run, open_units, progress) if open_units else PoolOutcome()
    refuse_failures(outcome, len(open_units), "selections")


def run_pool(
    run: Run, open_units: list[Unit], progress: Progress, selector: Any = SelectorActor
) -> PoolOutcome:
    """Select classes with a pool of actors, their progress shown while it goes on.

    Args:
        run: the run.
        open_units: what to do, as `selection_units` lists it.
        progress: follows these units.
        selector: the class of the actors.
    """
    pool, features = run.config.selection.pool, run.features_directory(run.config.encoder)
    start_ray()
    board = open_board(run.store.root, SELECTION_BAR.key)
    link = BoardLink(board)

    def make_actor() -> Any:
        options = selector.options(num_cpus=pool.num_cpus, num_gpus=pool.num_gpus)
        return options.remote(run.store.root, features, run.confidence_directory(), board)

    def change(name: str, changes: dict[str, Any]) -> None:
        link.note(name, changes)
        progress.change(name, changes)

    def tick() -> None:
        for name, changes in link.exchange().items():
            progress.update(name, changes)

    return Pool(RayCrew(make_actor), pool).run(open_units, change, tick)


def _followed(run: Run, unit: Unit, *, is_open: bool) -> UnitProgress:
    shared = {
        "name": unit["name"],
        "class_name": unit["class_name"],
        "method": unit["method"],
        "size": unit["size"],
    }
    if is_open:
        return UnitProgress(**shared)
    metadata = (
        stored_metadata(run.store, selection_file(unit["directory"], unit["class_name"])) or {}
    )
    return UnitProgress(**shared, state="skipped", **progress_of(metadata.get("summary", {})))


def _write_manifest(run: Run, method: str, class_names: list[str]) -> None:
    selections = [
        read_class_selection(run.store, run.selection_directory(method), name)
        for name in class_names
    ]
    table = manifest_table(selections)
    write_table(
        run.store,
        run.manifest(method),
        table,
        fingerprint=run.selection_directory(method),
        method=method,
    )
