"""Units of the selection: one class, or one group of a class, of one subset."""

from collections.abc import Collection, Iterator

from actors.selection_unit import SelectionUnit, SmallerSubset
from jobs.run_directory.budget_rules import is_exact
from jobs.run_directory.budgets import ForcedImages
from jobs.run_directory.groups import Groups, unit_word
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import Subset
from jobs.work_units.group_budgets import NOT_FORCED
from jobs.work_units.listed import Listed
from jobs.work_units.numbers import numbers_of_groups
from jobs.work_units.selection_fingerprints import unit_fingerprint


def selection_units(
    run: Run, name: str, listed: Listed, classes: Collection[str] | None = None
) -> Iterator[SelectionUnit]:
    """Yield one unit for each class of a subset, or for each group.

    The largest come first, so that the last units to end are short.

    Args:
        run: the run.
        name: of the subset.
        listed: of the source.
        classes: names of the classes or groups to yield; None yields all.

    Raises: MissingInputError if features, confidences, scores or hashes of held-out images are
        missing; InputError if a budget or a list of images does not fit the source.
    """
    subset = run.config.selection.subset(name)
    sizes = listed.groups.sizes
    budgets = numbers_of_groups(run, subset, listed)
    for class_name in sorted(sizes, key=lambda each: -sizes[each]):
        if classes is not None and class_name not in classes:
            continue
        lists = listed.forced.get(class_name, NOT_FORCED)
        numbers = [resolved[class_name] for resolved in budgets]
        yield _unit(run, subset, listed.groups, class_name, numbers, lists)


def _unit(
    run: Run,
    subset: Subset,
    groups: Groups,
    class_name: str,
    numbers: list[int],
    lists: ForcedImages,
) -> SelectionUnit:
    selection = run.config.selection
    method = subset.method
    settings = selection.selector_settings(method, 1)
    settings |= {"budget": numbers[-1], "include": lists.include, "exclude": lists.exclude}
    if not is_exact(subset.budgets[-1], groups.class_of[class_name]):
        # The class may have fewer images than the listing: unreadable ones, copies, held-out ones.
        settings["small_class"] = "take_all"

    path = []
    for count, smaller in enumerate(selection.subsets_of(method)[: len(numbers) - 1], start=1):
        path.append(
            SmallerSubset(
                budget=numbers[count - 1],
                directory=run.selection_directory(smaller.name),
                fingerprint=unit_fingerprint(run, method, class_name, settings, numbers[:count]),
            )
        )
    return SelectionUnit(
        name=f"{subset.name}, {unit_word(run.config)} {class_name}",
        subset=subset.name,
        method=method,
        class_name=class_name,
        size=groups.sizes[class_name],
        settings=settings,
        difficulty_directory=run.selection_difficulties(method),
        directory=run.unpolished_directory(subset.name),
        fingerprint=unit_fingerprint(run, method, class_name, settings, numbers),
        smaller=tuple(path),
        duplicates=selection.duplicates_of(method),
        near_copies=selection.near_copies,
        held_out_hashes=run.held_out_hashes(),
        refuses_held_out=selection.held_out_copies == "refuse",
    )
