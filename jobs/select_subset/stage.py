"""Select the subset of every class: `otcondense select_subset`."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from actors.board import BoardLink, open_board
from actors.here import run_here
from actors.polish_unit import PolishUnit
from actors.pool import Pool, PoolOutcome, refuse_failures
from actors.reporter import changes_of
from actors.selection_unit import SelectionUnit
from actors.selector import ClassSelector, SelectorActor
from actors.units import UnitChanges, progress_of
from actors.workers import RayBackend
from jobs.cluster.sizing import PoolWork, sized_pool
from jobs.cluster.start import start_ray
from jobs.command.progress import Progress, note
from jobs.command.wording import earlier_part
from jobs.run_directory.bars import PATHS_BAR, POLISH_BAR, SELECTION_BAR, Bar, selection_bar
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.budgets import check_budgets
from jobs.run_directory.copy_facts import copy_facts
from jobs.run_directory.groups import class_indices, unit_word
from jobs.run_directory.run import Run
from jobs.run_directory.subset_manifest import (
    composed_of,
    manifest_metadata,
    subset_manifest,
)
from jobs.select_subset.finished import FinishedSelections
from jobs.select_subset.held_out import write_held_out_hashes
from jobs.select_subset.polish_facts import polish_facts
from jobs.work_units.listed import Listed
from jobs.work_units.paths import path_units
from jobs.work_units.polish import left_unpolished, polish_units
from jobs.work_units.selection import selection_units
from otcondense.counts import counted
from otcondense.datasets import order_classes
from otcondense.selection.watch import Watcher
from otcondense.store import (
    ClassSelection,
    SelectionSummary,
    UnitProgress,
    chosen_only,
    read_class_selection,
    read_fingerprint,
    selection_file,
    stored_summary,
    write_class_selection,
    write_table,
)

Work = SelectionUnit | PolishUnit
"""What the pool works on."""


def select_subset(run: Run) -> None:
    """Choose every subset from every class, then write the manifest of each subset."""
    for sentence in check_budgets(run):
        note("select", sentence)
    write_held_out_hashes(run)
    listed = Listed.of(run)
    paths = list(path_units(run, listed))
    if paths:
        _select(run, paths, PATHS_BAR, "path")
    units: list[SelectionUnit] = []
    for subset in run.config.selection.subsets:
        units += selection_units(run, subset, listed)
    _select(run, units, selection_bar(run.config), "selection")
    _polish(run, listed, units)

    for name, text in write_manifests(run, listed).items():
        note("select", f"{name}: {text}")


def write_manifests(run: Run, listed: Listed) -> dict[str, str]:
    """Write the manifest of each subset; all classes are selected.

    Returns: what is to be said about copies, by the name of the subset or class.
    """
    names = list(listed.groups.sizes)
    if run.config.groups is None:
        names = order_classes(names)
    facts: dict[str, str] = {}
    for subset in run.config.selection.subsets:
        selections = _write_manifest(run, subset, names)
        facts |= copy_facts(selections)
        facts |= _lacking(run, listed, subset, selections)
        facts |= _group_facts(listed, subset, selections) if run.config.groups else {}
    return facts


def _lacking(
    run: Run, listed: Listed, subset: str, selections: list[ClassSelection]
) -> dict[str, str]:
    """Return a sentence about a subset with fewer images than its budget, by its name."""
    asked = sum(resolve(run.config.selection.subset(subset).budgets[-1], listed.sizes).values())
    chosen = sum(len(each.indices) for each in selections)
    if chosen >= asked:
        return {}
    words = (
        f"{counted(chosen, 'image')} of the {asked:,} that its budget asks for: there are no more "
        "that may be chosen (small_class=take_all)"
    )
    return {f"budget of {subset}": words}


def _group_facts(listed: Listed, subset: str, selections: list[ClassSelection]) -> dict[str, str]:
    """Return objective, bound and gap of all groups of a subset, by its name, if there are any."""
    found = composed_of(selections, listed.groups.sizes)
    return {} if found is None else {subset: found.words()}


def is_done(run: Run, unit: SelectionUnit) -> bool:
    """Tell whether the selection of a class is stored, from the inputs that are there now."""
    stored = read_fingerprint(run.store, selection_file(unit.directory, unit.class_name))
    return stored == unit.fingerprint


def _polish(run: Run, listed: Listed, selections: list[SelectionUnit]) -> None:
    """Improve the selections of groups together, if the run asks for it."""
    units = list(polish_units(run, listed.groups, selections))
    if units:
        for sentence in left_unpolished(run, listed.groups):
            note("select", sentence)
        _select(run, units, POLISH_BAR, "polished choice")
        for sentence in polish_facts(run, units):
            note("select", sentence)


def _select(run: Run, units: Sequence[Work], bar: Bar, what: str) -> None:
    """Select what is missing, and say how much was there."""
    finished = FinishedSelections(run.store)
    open_units = [unit for unit in units if not all(map(finished.has, unit.results))]
    finished.save()
    open_names = {unit.name for unit in open_units}
    outcome = PoolOutcome()
    with Progress(run.store, *bar) as progress:
        progress.follow(
            [progress_of_unit(run, unit, is_open=unit.name in open_names) for unit in units]
        )
        if open_units:
            outcome = run_pool(run, open_units, progress)
    done = [unit.results for unit in open_units if unit.name in outcome.results]
    finished.add(chain.from_iterable(done))
    finished.save()
    refuse_failures(outcome, len(open_units), f"{what}s")
    ending = earlier_part(len(units) - len(open_units), len(units), what)
    names = {each.class_name for unit in units for each in unit.results}
    of = counted(len(names), unit_word(run.config))
    note("select", f"{counted(len(units), what)} from {of}{ending}")


def run_pool(
    run: Run, open_units: Sequence[Work], progress: Progress, selector: Any = SelectorActor
) -> PoolOutcome:
    """Select classes with a pool of actors and show their progress.

    Args:
        run: the run.
        open_units: the units to work on, as `selection_units` lists them.
        progress: follows these units.
        selector: the class of the actors.
    """
    if run.config.selection.pool.num_actors == 0:
        return _run_here(run, open_units, progress)
    start_ray()
    board = open_board(run.store.root, SELECTION_BAR.key)
    link = BoardLink(board)

    def change(name: str, changes: UnitChanges) -> None:
        link.note(name, changes)
        progress.change(name, changes)

    def tick() -> None:
        for name, changes in link.exchange().items():
            progress.update(name, changes)

    work = PoolWork("select", len(open_units), uses_gpu=False)
    pool = sized_pool(run.config.selection.pool, run.config.cluster, work)
    features = run.selection_view()
    backend = RayBackend.of(
        selector, pool, run.store.root, features, run.selection_confidences(), board
    )
    return Pool(backend, pool).run(open_units, change, tick)


def _run_here(run: Run, open_units: Sequence[Work], progress: Progress) -> PoolOutcome:
    """Select one class after another in this process and show its progress."""

    def watcher_of(name: str) -> Watcher:
        return lambda moment: progress.update(name, changes_of(moment))

    worker = ClassSelector(
        run.store.root,
        run.selection_view(),
        run.selection_confidences(),
        watcher_of=watcher_of,
    )
    return run_here(worker, open_units, progress.change)


def progress_of_unit(run: Run, unit: Work, *, is_open: bool) -> UnitProgress:
    """Return the progress of a selection before the pool starts."""
    queued = UnitProgress(
        name=unit.name,
        class_name=unit.class_name,
        method=unit.subset,
        size=unit.size,
        budget=sum(min(each.settings["budget"], each.size) for each in unit.results),
    )
    if is_open:
        return queued
    if isinstance(unit, PolishUnit):
        return queued.model_copy(update={"state": "skipped"})
    summary = stored_summary(run.store, unit.directory, unit.class_name) or SelectionSummary()
    return queued.model_copy(update={"state": "skipped", **progress_of(summary)})


def _write_manifest(run: Run, method: str, class_names: list[str]) -> list[ClassSelection]:
    """Write the manifest of one subset and return its selections."""
    indices = class_indices(run)
    selections = [_with_present_index(run, method, name, indices[name]) for name in class_names]
    directory = run.selection_directory(method)
    write_table(
        run.store,
        run.manifest(method),
        subset_manifest(run, selections),
        fingerprint=directory,
        method=method,
        **manifest_metadata(run, selections),
    )
    return selections


def _with_present_index(run: Run, method: str, class_name: str, index: int) -> ClassSelection:
    """Return the chosen images of a class or group; its file is written again for a new index.

    A class that comes or goes changes the indices of others, but not what is chosen from them.
    """
    directory = run.selection_directory(method)
    stored = read_class_selection(run.store, directory, class_name)
    if stored.class_index == index:
        return chosen_only(stored)
    made_from = read_fingerprint(run.store, selection_file(directory, class_name))
    assert made_from is not None
    present = replace(stored, class_index=index)
    write_class_selection(run.store, directory, present, fingerprint=made_from)
    return chosen_only(present)
