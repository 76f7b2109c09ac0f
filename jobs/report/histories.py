"""The objective of the selection step by step, as the report draws it for a few classes."""

from collections.abc import Iterator, Mapping

from otcondense.counts import counted
from otcondense.report import ObjectiveHistory, class_history
from otcondense.store import ClassSelection

HISTORY_CLASSES = 5
"""Classes whose objective the report draws."""

Selections = Mapping[str, list[ClassSelection]]
"""Finished selections by method, in the order of classes."""


def histories(selections: Selections) -> Iterator[ObjectiveHistory]:
    """Yield the histories of the first classes, by method; those without steps have none."""
    for method, classes in selections.items():
        for selection in classes[:HISTORY_CLASSES]:
            history = class_history(selection, method)
            if history is not None:
                yield history


def histories_note(selections: Selections, unit: str) -> str:
    """Return which classes and methods have no history and why; empty if all have one.

    Args:
        selections: the finished ones.
        unit: what each is of, a class or a group.
    """
    return " ".join(_notes(selections, unit))


def _notes(selections: Selections, unit: str) -> Iterator[str]:
    size = max((len(classes) for classes in selections.values()), default=0)
    if size > HISTORY_CLASSES:
        yield f"The first {HISTORY_CLASSES} of {counted(size, unit)}; the page has all of them."
    whole: dict[str, None] = {}
    for method, classes in selections.items():
        missing = [each for each in classes[:HISTORY_CLASSES] if not class_history(each, method)]
        for each in missing:
            if each.summary.diagnostics.get("take_all"):
                whole[each.class_name] = None
        if any(each.class_name not in whole for each in missing):
            yield f"{method} follows no objective that could be drawn."
    if whole:
        yield f"Taken whole, without a step: {', '.join(whole)}."
