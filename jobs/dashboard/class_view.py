"""One class under one method.

The view has the chosen images in order, the images that each represents, the images left out, and
the course of the search.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from jobs.dashboard.measures import MEASURES
from jobs.run_directory.captions import captions_to_show
from jobs.run_directory.groups import unit_word
from jobs.run_directory.run import Run
from otcondense.datasets import order_classes
from otcondense.errors import InputError
from otcondense.report.builders import class_history, class_map
from otcondense.report.embed import Plot, history_plot, map_plot
from otcondense.shares import gap_text
from otcondense.store import (
    ClassSelection,
    read_class_selection,
    selection_file,
    selection_measures,
)

REPRESENTED_SHOWN = 24
"""Represented images that are shown for each chosen one, those with the most mass first."""
LARGEST_GAP = 0.995
"""A gap above this proves nothing: the lower bound is about 0."""
LEFT_OUT_SHOWN = 120
"""Images left out that are shown."""
LONGEST_NAME = 240
"""Bytes of a class name. File systems allow 255 for the directory `class_name=NAME`."""


@dataclass(frozen=True)
class ImageView:
    """One image of the class."""

    row: int
    """Its place in the class, by which its picture is requested."""
    image_id: str
    cross_entropy: float | None
    """Nats."""


@dataclass(frozen=True)
class ChosenView:
    """One chosen image."""

    image: ImageView
    rank: int
    """Order of choice from 1."""
    share: float
    """Share of the class's mass that it represents, 0 to 1."""
    count: int
    """Images that it represents, itself included."""
    gain: float | None
    represents: tuple[ImageView, ...]


@dataclass(frozen=True)
class ClassView:
    """All data of one class under one method."""

    method: str
    class_name: str
    num_images: int
    proof: str
    figures: dict[str, str]
    """Values with their units by the titles of `MEASURES`."""
    chosen: tuple[ChosenView, ...]
    left_out: tuple[ImageView, ...]
    num_left_out: int
    history: Plot | None
    map: Plot | None
    """None if the features have been deleted."""
    neighbours: tuple[str | None, str | None]
    """The class before and the one after, among those that the method has selected."""
    captions: dict[str, str]
    """Of the chosen images by id; empty if the source has none."""


def class_view(run: Run, method: str, class_name: str, number: int = 0) -> ClassView:
    """Read one class.

    Args:
        run: the run.
        method: one of its methods.
        class_name: the class.
        number: number of the view on its page, which makes the names of its figures unique.

    Raises: InputError if the class has not been selected by the method, or its files are damaged.
    """
    selection = read_selection(run, method, class_name)
    measures = selection_measures(selection.summary)
    left_out = np.flatnonzero(selection.assignment < 0)
    return ClassView(
        method=method,
        class_name=class_name,
        num_images=len(selection.image_ids),
        proof=_proof(selection, measures, unit_word(run.config)),
        figures=_figures(measures),
        chosen=tuple(_chosen(selection)),
        left_out=tuple(_image(selection, int(row)) for row in left_out[:LEFT_OUT_SHOWN]),
        num_left_out=len(left_out),
        history=_history(run, selection, method, number),
        map=_map(run, selection, method, number),
        neighbours=_neighbours(selected_classes(run, method), class_name),
        captions=captions_to_show(run, [selection.image_ids[row] for row in selection.indices]),
    )


def selected_classes(run: Run, method: str) -> list[str]:
    """Return the names of the classes that a method has selected, in the order of classes."""
    names = run.store.list(run.selection_directory(method))
    selected = [name for name in names if name.endswith("/selection.parquet")]
    return order_classes(name.split("/")[-2].removeprefix("class_name=") for name in selected)


def _neighbours(names: Sequence[str], name: str) -> tuple[str | None, str | None]:
    place = names.index(name)
    before = names[place - 1] if place else None
    return before, next(iter(names[place + 1 : place + 2]), None)


def _figures(measures: dict[str, float]) -> dict[str, str]:
    known = {name: measure for name, measure in MEASURES.items() if name in measures}
    return {measure.title: measure.text(measures[name]) for name, measure in known.items()}


def read_selection(run: Run, method: str, class_name: str) -> ClassSelection:
    """Return the selection of one class.

    Raises: InputError if there is none, or its file is damaged.
    """
    check_method(run, method)
    directory = run.selection_directory(method)
    if not _is_plain(class_name) or not run.store.exists(selection_file(directory, class_name)):
        unit = unit_word(run.config)
        raise InputError(f"{unit} {class_name!r} has no selection by {method} in this run")
    return read_class_selection(run.store, directory, class_name)


def check_method(run: Run, method: str) -> None:
    """Raise InputError if the run has no such method."""
    methods = run.config.selection.subsets
    if method not in methods:
        raise InputError(
            f"method must be one of the run's ({', '.join(methods)}), found {method!r}"
        )


def _is_plain(class_name: str) -> bool:
    """Tell whether a name is that of one directory, not a path to another."""
    return (
        bool(class_name)
        and "/" not in class_name
        and "\0" not in class_name
        and len(class_name.encode()) < LONGEST_NAME
    )


def _proof(selection: ClassSelection, measures: dict[str, float], unit: str) -> str:
    if selection.summary.diagnostics.get("take_all"):
        return f"The {unit} has no more images than the budget: all of them were chosen."
    if measures.get("swap_optimal"):
        gap = measures.get("gap", 1.0)
        if gap < LARGEST_GAP:
            return (
                "Proven: no single swap lowers the objective, "
                "and no subset of this size is better by more than "
                f"{gap_text(gap)} of the objective."
            )
        return "Proven: no single swap lowers the objective."
    return "This method gives no proof."


def _chosen(selection: ClassSelection) -> Iterator[ChosenView]:
    for rank, index in enumerate(selection.indices):
        members = np.flatnonzero(selection.assignment == index)
        heaviest = members[np.argsort(-selection.received_mass[members], kind="stable")]
        shown = [int(row) for row in heaviest[:REPRESENTED_SHOWN] if row != index]
        yield ChosenView(
            image=_image(selection, int(index)),
            rank=rank + 1,
            share=float(selection.received_mass[members].sum()),
            count=len(members),
            gain=_finite(float(selection.gain[rank])),
            represents=tuple(_image(selection, row) for row in shown),
        )


def _image(selection: ClassSelection, row: int) -> ImageView:
    entropies = selection.cross_entropy
    entropy = None if entropies is None else _finite(float(entropies[row]))
    return ImageView(row, selection.image_ids[row], entropy)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _history(run: Run, selection: ClassSelection, method: str, number: int) -> Plot | None:
    data = class_history(selection, method)
    methods, unit = run.config.selection.subsets, unit_word(run.config)
    return None if data is None else history_plot(data, number, methods, unit)


def _map(run: Run, selection: ClassSelection, method: str, number: int) -> Plot | None:
    view = run.selection_view()
    if not view.is_there(run.store, selection.class_name):
        return None
    features = view.read(run.store, selection.class_name).features
    data = class_map(features, {method: selection}, with_assignment=True)
    return map_plot(data, number, run.config.selection.subsets, unit_word(run.config))
