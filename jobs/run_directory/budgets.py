"""Checks of the selection's images and budgets against the source."""

from collections import Counter

from jobs.run_directory.run import Run
from otcondense.datasets import list_images
from otcondense.errors import InputError

SHOWN = 5
"""Class names that an error lists."""


def check_budgets(run: Run) -> None:
    """Refuse budgets that do not fit the classes, before anything is computed.

    Raises: InputError naming class, budget and number of images.
    """
    records = list_images(run.config.source)
    _check_named_images(run, {record.image_id for record in records})
    _check_sizes(run, Counter(record.class_name for record in records))


def _check_named_images(run: Run, known: set[str]) -> None:
    selection = run.config.selection
    unknown = {*selection.include, *selection.exclude} - known
    if unknown:
        raise InputError(
            "selection.include and selection.exclude must name images of "
            f"{run.config.source.path}, found {min(unknown)}"
        )


def _check_sizes(run: Run, sizes: Counter[str]) -> None:
    selection = run.config.selection
    if isinstance(selection.budget, dict):
        missing = sorted(set(sizes) - set(selection.budget))
        surplus = sorted(set(selection.budget) - set(sizes))
        if missing or surplus:
            raise InputError(
                "selection.budget must name every class once; "
                f"missing: {missing[:SHOWN]}, not in the source: {surplus[:SHOWN]}"
            )
    if selection.small_class == "take_all":
        return
    for class_name, size in sizes.items():
        budget = selection.budget_of(class_name)
        if budget > size:
            raise InputError(
                f"selection.budget is {budget}, but class {class_name} has {size} images; "
                "lower it, or set selection.small_class=take_all"
            )
