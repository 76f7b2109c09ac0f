"""The finished selections of a subset, in the order in which page, report and card show them."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from jobs.run_directory.groups import selection_groups
from jobs.run_directory.run import Run
from otcondense.datasets import order_classes
from otcondense.errors import MissingInputError
from otcondense.store import (
    ClassSelection,
    CopySummary,
    read_class_selection,
    read_manifest,
    selected_names,
    stored_summary,
)


def finished_selections(run: Run, subset: str) -> Iterator[ClassSelection]:
    """Yield the selections of the classes or groups of a subset, by name.

    A manifest of groups has them in the order of the classes of their images, which differs between
    methods. One that is missing, since it is being made again, is left out.
    """
    manifest = read_manifest(run.store, run.manifest(subset))
    for name in order_classes(selected_names(manifest)):
        with suppress(MissingInputError):
            yield read_class_selection(run.store, run.selection_directory(subset), name)


@dataclass(frozen=True)
class Unit:
    """What the selection from one class or group says of the images there."""

    weight: int
    """1, or the images of a group."""
    left_out_share: float
    copies: CopySummary | None


def read_units(run: Run, subset: str) -> Iterator[Unit]:
    """Yield what is known of the selections of a subset; each is opened once."""
    directory = run.selection_directory(subset)
    for name, size in selection_groups(run).sizes.items():
        summary = stored_summary(run.store, directory, name)
        if summary is not None:
            weight = 1 if run.config.groups is None else size
            yield Unit(weight, summary.left_out_share, summary.copies)


def unrepresented(units: Iterable[Unit]) -> float | None:
    """Return the share of the images that no chosen one represents: the mean over classes.

    Groups count by their images.
    """
    lost, total = 0.0, 0
    for unit in units:
        lost += unit.weight * unit.left_out_share
        total += unit.weight
    return lost / total if total else None
