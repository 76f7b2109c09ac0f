"""Fingerprints of selections: from the contents of their inputs and the settings."""

from collections.abc import Sequence
from typing import Any

from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.errors import MissingInputError
from otcondense.selection.registry import versioned
from otcondense.store import (
    SELECTION_SCHEMA_VERSION,
    Store,
    class_files,
    fingerprint,
    stored_metadata,
)


def unit_fingerprint(
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
    seen = run.selection_view().rules
    if seen:
        used["features"] = seen
    return selection_fingerprint(run.store, inputs, method, used)


def input_directories(run: Run, method: str) -> list[str]:
    """Return the directories of features, confidences and scores, each once."""
    directories = dict.fromkeys(run.selection_view().directories)
    for optional in (run.selection_confidences(), run.selection_difficulties(method)):
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
