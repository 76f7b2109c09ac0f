"""Units of the selection: one class by one method."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from actors.selector import SelectionUnit
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.datasets import Listing
from otcondense.errors import MissingInputError
from otcondense.store import (
    SELECTION_SCHEMA_VERSION,
    Store,
    class_file,
    fingerprint,
    stored_metadata,
)


def selection_units(
    run: Run, method: str, listing: Listing, names: Iterable[str]
) -> Iterator[SelectionUnit]:
    """Yield one unit for each of some classes of a listing.

    The largest classes come first, so that the last units to end are short.

    Raises: MissingInputError if features, confidences or scores are missing.
    """
    selection = run.config.selection
    included = _by_class(selection.include, listing)
    excluded = _by_class(selection.exclude, listing)
    difficulty = run.difficulty_directory(method)
    sizes = Counter({name: listing.sizes[name] for name in names})
    for class_name, size in sizes.most_common():
        settings = selection.selector_settings(method, selection.budget_of(class_name))
        if "include" in settings:
            settings["include"] = included.get(class_name, [])
            settings["exclude"] = excluded.get(class_name, [])

        inputs = [
            class_file(directory, class_name) for directory in _input_directories(run, method)
        ]
        yield SelectionUnit(
            name=f"{method}, class {class_name}",
            method=method,
            class_name=class_name,
            size=size,
            settings=settings,
            difficulty_directory=difficulty,
            directory=run.selection_directory(method),
            fingerprint=selection_fingerprint(run.store, inputs, method, identity(settings)),
        )


def _input_directories(run: Run, method: str) -> list[str]:
    """Return the directories of features, confidences and scores, each once."""
    directories = {run.features_directory(run.config.encoder): None}
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
        inputs: names of the input files of the class: its features, and its confidences and scores
            if they are in files of their own.
        method: name in `SELECTORS`.
        settings: keyword arguments of the selector that can change the result.

    Raises: MissingInputError if an input is missing.
    """
    contents = []
    for name in inputs:
        metadata = stored_metadata(store, name)
        if metadata is None:
            raise MissingInputError(f"{store.path(name)} is missing or damaged", file=name)
        contents.append(metadata["content"])
    return fingerprint([SELECTION_SCHEMA_VERSION, method, settings, *contents])


def _by_class(image_ids: tuple[str, ...], listing: Listing) -> dict[str, list[str]]:
    """Return the listed images of each class, in the order of the listing."""
    listed: dict[str, list[str]] = {}
    rows = sorted(listing.find(image_ids).values())
    for record in listing.take(rows):
        listed.setdefault(record.class_name, []).append(record.image_id)
    return listed
