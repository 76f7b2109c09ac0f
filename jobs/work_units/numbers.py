"""The number of images that each subset takes from each group."""

from jobs.run_directory.budget_rules import is_exact, resolve
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import Subset
from jobs.work_units.group_budgets import (
    ClassOfGroups,
    classes_of_groups,
    shared,
    shared_by_gains,
)
from jobs.work_units.listed import Listed
from jobs.work_units.paths import read_paths
from otcondense.errors import InputError


def numbers_of_groups(run: Run, subset: Subset, listed: Listed) -> list[dict[str, int]]:
    """Return the images of each group for each nested budget of a subset.

    Raises: InputError if a budget does not fit the source or its groups; MissingInputError if it
        is shared by the objective, and the path of a group is missing.
    """
    budgets = [resolve(budget, listed.sizes) for budget in subset.budgets]
    if run.config.groups is None:
        return budgets
    selection = run.config.selection
    found: list[dict[str, int]] = [{} for _ in budgets]
    has_copies = selection.duplicates_of(subset.method) == "keep"
    for each in classes_of_groups(listed.groups, listed.forced, has_copies=has_copies):
        wanted = [of_classes[each.name] for of_classes in budgets]
        if selection.small_class == "error" and is_exact(subset.budgets[-1], each.name):
            _check_size(each, wanted[-1])
        if selection.allocation == "objective":
            numbers = shared_by_gains(each, wanted, read_paths(run, each, listed.forced))
        else:
            numbers = shared(each, wanted, selection.allocation)
        for whole, of_class in zip(found, numbers, strict=True):
            whole.update(of_class)
    return found


def _check_size(of: ClassOfGroups, budget: int) -> None:
    """Refuse a class whose groups hold fewer images than the listing promised.

    Raises: InputError.
    """
    available = sum(of.most.values())
    if budget > available:
        raise InputError(
            f"selection.budget is {budget}, but the groups of class {of.name} have {available} "
            "images that may be chosen, exact copies counted once; lower it, or set "
            "selection.small_class=take_all or selection.duplicates=keep"
        )
