"""Checks of the selection's images and budgets against the source."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jobs.run_directory.budget_rules import is_exact, resolve
from jobs.run_directory.config import RunConfig
from jobs.run_directory.groups import (
    budget_words,
    expected_units,
    holder_words,
    ignores_labels,
    selected_sizes,
)
from jobs.run_directory.listing import run_listing
from jobs.run_directory.named_images import matched
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import SelectionConfig, Subset
from otcondense.counts import counted, range_and_sum
from otcondense.errors import InputError
from otcondense.selection.objective_config import BALANCED_KAPPA, admissible_kappa
from otcondense.store import ALL_CLASSES, groups_file

LISTS = "selection.include, selection.exclude and selection.start"
"""The settings that name images."""
SHOWN = 5
"""Class names that an error lists."""


def class_sizes(run: Run) -> dict[str, int]:
    """Return the images of each class that has a budget, in the order of the listing.

    If groups ignore labels, that is one class of all images.
    """
    return selected_sizes(run.config, run_listing(run).sizes)


@dataclass(frozen=True)
class ForcedImages:
    """The ids of the images of one class that must, and that must not be chosen."""

    include: list[str] = field(default_factory=list)
    """In the order of the configuration."""
    exclude: list[str] = field(default_factory=list)


def forced_images(run: Run) -> dict[str, ForcedImages]:
    """Return the images that must or must not be chosen, for each class that has some.

    Raises: InputError for an image that the source does not have, or that is in both lists.
    """
    included, excluded = forced_ids(run)
    both = sorted(set(included) & set(excluded))
    if both:
        raise InputError(
            "selection.include and selection.start must have no image in common with "
            f"selection.exclude, found {both[0]}"
        )
    if not included and not excluded:
        return {}
    class_of = _classes(run, {*included, *excluded})
    forced: dict[str, ForcedImages] = {}
    for image_id in included:
        forced.setdefault(class_of[image_id], ForcedImages()).include.append(image_id)
    for image_id in excluded:
        forced.setdefault(class_of[image_id], ForcedImages()).exclude.append(image_id)
    return forced


def forced_ids(run: Run) -> tuple[list[str], list[str]]:
    """Return the ids of the images that must, and of those that must not be chosen.

    Raises: InputError for a name that fits no image of the source, or several.
    """
    selection = run.config.selection
    included, excluded = selection.included(), selection.excluded()
    if not included and not excluded:
        return [], []
    ids = matched(run_listing(run), [*included, *excluded], LISTS, str(run.config.source.path))
    return _ids(included, ids), _ids(excluded, ids)


def _ids(names: Iterable[str], ids: Mapping[str, str]) -> list[str]:
    return list(dict.fromkeys(ids[name] for name in names))


def _classes(run: Run, wanted: set[str]) -> dict[str, str]:
    listing = run_listing(run)
    records = listing.take(listing.find(wanted).values())
    if ignores_labels(run.config):
        return {record.image_id: ALL_CLASSES for record in records}
    return {record.image_id: record.class_name for record in records}


def check_budgets(run: Run) -> list[str]:
    """Refuse budgets that do not fit the classes, before anything is computed.

    Returns: sentences about the budgets of shares, totals and several subsets, and about the
        classes that are chosen with a lower kappa.

    Raises: InputError naming class, budget and number of images.
    """
    config = run.config
    selection = config.selection
    forced = forced_images(run)
    sizes = class_sizes(run)
    sentences: list[str] = []
    # Estimates of groups serve until there are some; the selection then refuses by their number.
    directory = run.groups_directory()
    is_grouped = directory is not None and run.store.exists(groups_file(directory))
    for subset in selection.subsets_of(selection.methods[0]) if selection.methods else ():
        budgets = resolve(subset.budgets[-1], sizes)
        _check_sizes(config, subset, budgets, sizes)
        _check_forced(config, forced, budgets)
        _check_groups(config, budgets, sizes)
        if not is_grouped:
            sentences += _about_groups(config, budgets, sizes)
        sentences += _about_budget(config, subset, budgets, sizes)
        sentences += _about_balanced_classes(config, sizes, budgets)
    return sentences


def _check_sizes(
    config: RunConfig, subset: Subset, budgets: Mapping[str, int], sizes: Mapping[str, int]
) -> None:
    if config.selection.small_class == "take_all":
        return
    for class_name, size in sizes.items():
        budget = budgets[class_name]
        if budget > size and is_exact(subset.budgets[-1], class_name):
            raise InputError(
                f"selection.budget is {budget}, but {holder_words(config, class_name)} has {size} "
                "images; lower it, or set selection.small_class=take_all"
            )


def _check_groups(config: RunConfig, budgets: Mapping[str, int], sizes: Mapping[str, int]) -> None:
    """Refuse a budget below the least number of groups, before the images are grouped."""
    if config.groups is None:
        return
    for class_name, size in sizes.items():
        fewest = -(-size // config.groups.most)
        if budgets[class_name] < fewest:
            holder = holder_words(config, class_name)
            raise too_few_for_groups(holder, budgets[class_name], f"at least {fewest}")


def _about_groups(
    config: RunConfig, budgets: Mapping[str, int], sizes: Mapping[str, int]
) -> Iterator[str]:
    """Yield a sentence for each class that may have more groups than images to choose."""
    for class_name, size in sizes.items():
        budget = budgets[class_name]
        expected = len(expected_units(config, {class_name: size}, {class_name: budget}))
        if config.groups is not None and budget < expected:
            yield (
                f"{holder_words(config, class_name)} will have about {expected} groups, and each "
                f"gives one or more images: a budget of {budget} may be too small; raise it, or "
                "groups.most"
            )


def too_few_for_groups(holder: str, budget: int, count: str) -> InputError:
    """Return the error of a class with more groups than images to choose.

    Args:
        holder: the class in words.
        budget: its images to choose.
        count: its groups, in words.
    """
    return InputError(
        f"selection.budget gives {holder} {counted(budget, 'image')}, but "
        f"it has {count} groups, and each gives one or more; raise the budget, raise groups.most, "
        "or leave groups out"
    )


def _check_forced(
    config: RunConfig, forced: Mapping[str, ForcedImages], budgets: Mapping[str, int]
) -> None:
    for class_name, images in forced.items():
        if len(images.include) > budgets[class_name]:
            raise InputError(
                f"{holder_words(config, class_name)} must have at most its budget of "
                f"{budgets[class_name]} images in selection.include and selection.start together, "
                f"found {len(images.include)}; raise the budget"
            )


def _about_budget(
    config: RunConfig, subset: Subset, budgets: Mapping[str, int], sizes: Mapping[str, int]
) -> list[str]:
    budget = subset.budgets[-1]
    if isinstance(budget, int) and len(subset.budgets) == 1:
        return []
    return [f"budget of {budget_words(config, budget)}: {in_numbers(budgets, sizes)}"]


def in_numbers(budgets: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    """Return what budgets come to, such as "3 to 12 images a class, 520 in all"."""
    return range_and_sum([min(budgets[name], size) for name, size in sizes.items()])


def balanced_classes(
    selection: SelectionConfig, sizes: Mapping[str, int], budgets: Mapping[str, int]
) -> list[str]:
    """Return the classes that are chosen with balanced transport, in sorted order.

    They have more images than the budget, but too few for the kappa of the configuration.
    """
    if "geometry_aware" not in selection.methods:
        return []
    kappa = selection.selector_settings("geometry_aware", 1)["kappa"]
    found = []
    for class_name, size in sorted(sizes.items()):
        budget = budgets[class_name]
        if size > budget and admissible_kappa(kappa, size, budget) != kappa:
            found.append(class_name)
    return found


def _about_balanced_classes(
    config: RunConfig, sizes: Mapping[str, int], budgets: Mapping[str, int]
) -> list[str]:
    found = balanced_classes(config.selection, sizes, budgets)
    if not found:
        return []
    if ignores_labels(config):
        return [f"kappa is lowered to {BALANCED_KAPPA:g}: the source has so few images"]
    return [
        f"kappa is lowered to {BALANCED_KAPPA:g} for {counted(len(found), 'class')} of at most "
        f"kappa * budget images: {_shortened(found)}"
    ]


def _shortened(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
