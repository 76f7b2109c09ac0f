"""The course of the objective in each group, by which a budget is shared with `objective`.

A path is the exact greedy choice of the geometry-aware selector, without swaps. It is stored as a
selection, so that the same workers compute it, and finished ones are skipped.
"""

import math
from collections.abc import Iterator, Mapping

from actors.selection_unit import SelectionUnit
from jobs.run_directory.budget_rules import resolve
from jobs.run_directory.budgets import ForcedImages
from jobs.run_directory.run import PATH_METHOD, Run
from jobs.work_units.group_budgets import NOT_FORCED, ClassOfGroups, classes_of_groups, shared
from jobs.work_units.listed import Listed
from jobs.work_units.selection_fingerprints import unit_fingerprint
from otcondense.errors import InputError, MissingInputError
from otcondense.store import selection_file, stored_summary

PATHS = "paths"
"""Name of the paths, where selections have that of their subset."""
PATH_FACTOR = 3
"""A path goes to this many times the images that a group has in proportion to its size: few groups
get more, and each further image of a path takes as long as the last one."""
LEAST_PATH = 10
"""Images of a path at least."""
WITHOUT_SWAPS = {"start": "greedy", "max_passes": 0, "rebuilds": 0, "lower_bound": None}
"""Settings of the selector that leave the greedy choice alone."""


def path_units(run: Run, listed: Listed) -> Iterator[SelectionUnit]:
    """Yield one unit for each group whose path decides about a budget; the largest come first.

    Raises: InputError if the selector of the paths runs the authors' code, which has none.
    """
    selection = run.config.selection
    if run.config.groups is None or selection.allocation != "objective":
        return
    if selection.selector_settings(PATH_METHOD, 1)["reference"] is not None:
        raise InputError(
            "selection.allocation=objective needs the search of geometry_aware, found "
            "settings.geometry_aware.reference=authors; choose another allocation"
        )
    lengths: dict[str, int] = {}
    has_copies = selection.duplicates_of(PATH_METHOD) == "keep"
    for each in classes_of_groups(listed.groups, listed.forced, has_copies=has_copies):
        if len(each.sizes) > 1:
            lengths |= _lengths(run, each, listed)
    sizes = listed.groups.sizes
    for name in sorted(lengths, key=lambda each: -sizes[each]):
        yield _unit(run, name, lengths[name], listed)


def _lengths(run: Run, of: ClassOfGroups, listed: Listed) -> dict[str, int]:
    """Return the images of the path of each group of a class, the last of them not chosen."""
    budgets = run.config.selection.subsets_of(run.config.selection.methods[0])[-1].budgets
    number = resolve(budgets[-1], listed.sizes)[of.name]
    (numbers,) = shared(of, [number], "proportional")
    lengths = {}
    for name, size in numbers.items():
        wanted = max(LEAST_PATH, math.ceil(PATH_FACTOR * size), of.least[name] + 2)
        # The objective of a whole group is not known: there is nothing to choose.
        lengths[name] = max(1, min(wanted, of.most[name] - 1))
    return lengths


def _unit(run: Run, name: str, length: int, listed: Listed) -> SelectionUnit:
    selection = run.config.selection
    lists = listed.forced.get(name, NOT_FORCED)
    settings = selection.selector_settings(PATH_METHOD, 1) | WITHOUT_SWAPS
    settings |= {"budget": max(length, len(lists.include)), "small_class": "take_all"}
    settings |= {"include": lists.include, "exclude": lists.exclude}
    return SelectionUnit(
        name=f"{PATHS}, group {name}",
        subset=PATHS,
        method=PATH_METHOD,
        class_name=name,
        size=listed.groups.sizes[name],
        settings=settings,
        difficulty_directory=None,
        directory=run.paths_directory(),
        fingerprint=unit_fingerprint(run, PATH_METHOD, name, settings, [settings["budget"]]),
        duplicates=selection.duplicates_of(PATH_METHOD),
        near_copies=selection.near_copies,
        held_out_hashes=run.held_out_hashes(),
        # The selections themselves refuse it, with the name of their subset.
        refuses_held_out=False,
    )


def read_paths(
    run: Run, of: ClassOfGroups, forced: Mapping[str, ForcedImages]
) -> dict[str, Mapping[int, float]]:
    """Return the objective of the greedy choice by its number of images, for each group of a class.

    A class that is one group needs none.

    Raises: MissingInputError if a path is missing.
    """
    if len(of.sizes) < 2:
        return {}
    return {name: _path(run, name, forced.get(name, NOT_FORCED)) for name in of.sizes}


def _path(run: Run, name: str, forced: ForcedImages) -> Mapping[int, float]:
    summary = stored_summary(run.store, run.paths_directory(), name)
    if summary is None:
        file = selection_file(run.paths_directory(), name)
        raise MissingInputError(f"{run.store.path(file)} is missing or damaged", file=file)
    steps = [step for step in summary.history if step.stage == "greedy"]
    first = len(forced.include) + 1
    return {number: step.objective for number, step in enumerate(steps, start=first)}
