"""Units of the selection: one class of one subset."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from actors.selection_unit import SelectionUnit, SmallerSubset
from jobs.run_directory.budget_rules import is_exact, resolve
from jobs.run_directory.budgets import ForcedImages, class_sizes, forced_images
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from jobs.run_directory.selection_config import Subset
from otcondense.errors import MissingInputError
from otcondense.selection.registry import versioned
from otcondense.store import (
    SELECTION_SCHEMA_VERSION,
    Store,
    class_files,
    fingerprint,
    stored_metadata,
)

NOT_FORCED = ForcedImages()
"""The lists of a class without images that must or must not be chosen."""


@dataclass(frozen=True)
class Listed:
    """What the selection needs of the listing of the source, read once for all subsets."""

    sizes: dict[str, int]
    """Images of each class."""
    forced: dict[str, ForcedImages]
    """Images that must or must not be chosen, by class."""

    @classmethod
    def of(cls, run: Run) -> "Listed":
        """Read the listing."""
        return cls(class_sizes(run), forced_images(run))


def selection_units(
    run: Run, name: str, listed: Listed, classes: Collection[str] | None = None
) -> Iterator[SelectionUnit]:
    """Yield one unit for each class of a subset.

    The largest classes come first, so that the last units to end are short.

    Args:
        run: the run.
        name: of the subset.
        listed: of the source.
        classes: names of the classes to yield; None yields all.

    Raises: MissingInputError if features, confidences, scores or hashes of held-out images are
        missing; InputError if a budget or a list of images does not fit the source.
    """
    subset = run.config.selection.subset(name)
    sizes = listed.sizes
    budgets = [resolve(budget, sizes) for budget in subset.budgets]
    for class_name in sorted(sizes, key=lambda each: -sizes[each]):
        if classes is not None and class_name not in classes:
            continue
        lists = listed.forced.get(class_name, NOT_FORCED)
        numbers = [resolved[class_name] for resolved in budgets]
        yield _unit(run, subset, class_name, sizes[class_name], numbers, lists)


def _unit(
    run: Run, subset: Subset, class_name: str, size: int, numbers: list[int], lists: ForcedImages
) -> SelectionUnit:
    selection = run.config.selection
    method = subset.method
    settings = selection.selector_settings(method, 1)
    settings |= {"budget": numbers[-1], "include": lists.include, "exclude": lists.exclude}
    if not is_exact(subset.budgets[-1], class_name):
        # The class may have fewer images than the listing: unreadable ones, copies, held-out ones.
        settings["small_class"] = "take_all"

    path = []
    for count, smaller in enumerate(selection.subsets_of(method)[: len(numbers) - 1], start=1):
        path.append(
            SmallerSubset(
                budget=numbers[count - 1],
                directory=run.selection_directory(smaller.name),
                fingerprint=_fingerprint(run, method, class_name, settings, numbers[:count]),
            )
        )
    return SelectionUnit(
        name=f"{subset.name}, class {class_name}",
        subset=subset.name,
        method=method,
        class_name=class_name,
        size=size,
        settings=settings,
        difficulty_directory=run.difficulty_directory(method),
        directory=run.selection_directory(subset.name),
        fingerprint=_fingerprint(run, method, class_name, settings, numbers),
        smaller=tuple(path),
        duplicates=selection.duplicates_of(method),
        near_copies=selection.near_copies,
        held_out_hashes=run.held_out_hashes(),
        refuses_held_out=selection.held_out_copies == "refuse",
    )


def _fingerprint(
    run: Run, method: str, class_name: str, settings: dict[str, Any], numbers: list[int]
) -> str:
    """Return the fingerprint of the last of nested selections of a class."""
    selection = run.config.selection
    inputs: list[str] = []
    for directory in input_directories(run, method):
        inputs += class_files(run.store, directory, class_name)
    rules: list[Any] = [selection.duplicates_of(method)]
    if rules != ["keep"]:
        rules.append(selection.near_copies)
    hashes = run.held_out_hashes()
    if hashes is not None:
        inputs.append(hashes)
        rules.append(selection.held_out_copies)
    used = {**identity(settings), "budget": numbers, "copies": rules}
    seen = run.features_view().rules
    if seen:
        used["features"] = seen
    return selection_fingerprint(run.store, inputs, method, used)


def input_directories(run: Run, method: str) -> list[str]:
    """Return the directories of features, confidences and scores, each once."""
    directories = dict.fromkeys(run.features_view().directories)
    for optional in (run.confidence_directory(), run.difficulty_directory(method)):
        if optional is not None:
            directories[optional] = None
    return list(directories)


def selection_fingerprint(
    store: Store, inputs: Sequence[str], method: str, settings: dict[str, Any]
) -> str:
    """Return the fingerprint of the selection of one class.

    It covers the contents of the input files and the settings of the selector.

    Args:
        store: the run.
        inputs: names of the input files of the class: its features, its confidences and scores if
            they are in files of their own, and the hashes of the held-out images.
        method: name in `SELECTORS`.
        settings: what can change the result: keyword arguments of the selector, rules for copies.

    Raises: MissingInputError if an input is missing.
    """
    contents = []
    for name in inputs:
        metadata = stored_metadata(store, name)
        if metadata is None:
            raise MissingInputError(f"{store.path(name)} is missing or damaged", file=name)
        contents.append(metadata["content"])
    return fingerprint([SELECTION_SCHEMA_VERSION, versioned(method), settings, *contents])
