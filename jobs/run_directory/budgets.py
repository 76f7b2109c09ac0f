"""Checks of the selection's images and budgets against the source."""

from collections import Counter
from collections.abc import Mapping

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import SelectionConfig
from otcondense.datasets import Listing
from otcondense.errors import InputError
from otcondense.selection.objective_config import BALANCED_KAPPA, admissible_kappa

SHOWN = 5
"""Class names that an error lists."""


def check_budgets(run: Run) -> list[str]:
    """Refuse budgets that do not fit the classes, before anything is computed.

    Returns: sentences about the classes that are chosen with a lower kappa.

    Raises: InputError naming class, budget and number of images.
    """
    listing = run_listing(run)
    _check_named_images(run, listing)
    sizes = Counter(listing.sizes)
    _check_sizes(run, sizes)
    return _about_balanced_classes(run.config.selection, sizes)


def _check_named_images(run: Run, listing: Listing) -> None:
    selection = run.config.selection
    named = {*selection.include, *selection.exclude}
    unknown = named - set(listing.find(named))
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


def balanced_classes(selection: SelectionConfig, sizes: Mapping[str, int]) -> list[str]:
    """Return the classes that are chosen with balanced transport, in sorted order.

    They have more images than the budget, but too few for the kappa of the configuration.
    """
    if "geometry_aware" not in selection.methods:
        return []
    found = []
    for class_name, size in sorted(sizes.items()):
        budget = selection.budget_of(class_name)
        settings = selection.selector_settings("geometry_aware", budget)
        kappa = settings["kappa"]
        if size > budget and admissible_kappa(kappa, size, budget) != kappa:
            found.append(class_name)
    return found


def _about_balanced_classes(selection: SelectionConfig, sizes: Mapping[str, int]) -> list[str]:
    found = balanced_classes(selection, sizes)
    if not found:
        return []
    names = ", ".join(found[:SHOWN])
    if len(found) > SHOWN:
        names += f" and {len(found) - SHOWN} more"
    return [
        f"kappa is lowered to {BALANCED_KAPPA:g} for {len(found)} class(es) of at most "
        f"kappa * budget images: {names}"
    ]
