"""Checks of the budgets against the classes of the source."""

from collections import Counter

from jobs.run_directory.run import Run
from otcondense.datasets import list_images
from otcondense.errors import InputError


def check_budgets(run: Run) -> None:
    """Refuse budgets that do not fit the classes, before anything is computed.

    Raises: InputError naming class, budget and number of images.
    """
    selection = run.config.selection
    records = list_images(run.config.source)
    sizes = Counter(record.class_name for record in records)
    unknown = {*selection.include, *selection.exclude} - {record.image_id for record in records}
    if unknown:
        raise InputError(
            f"selection.include and selection.exclude must name images of {run.config.source.path}, found {min(unknown)}"
        )
    if isinstance(selection.budget, dict) and set(selection.budget) != set(sizes):
        missing, surplus = (
            sorted(set(sizes) - set(selection.budget)),
            sorted(set(selection.budget) - set(sizes)),
        )
        raise InputError(
            f"selection.budget must name every class once; missing: {missing[:5]}, not in the source: {surplus[:5]}"
        )
    if selection.small_class == "take_all":
        return
    for class_name, size in sizes.items():
        if selection.budget_of(class_name) > size:
            raise InputError(
                f"selection.budget is {selection.budget_of(class_name)}, but class {class_name} has {size} images; "
                "lower it, or set selection.small_class=take_all"
            )
