"""One class under one method: the chosen images in order, what each stands for, what is left out, how the search went."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from jobs.dashboard.overview import MEASURES
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.report import FeatureMap, ObjectiveHistory
from otcondense.report.embed import Plot, history_plot, map_plot
from otcondense.store import (
    ClassSelection,
    class_file,
    read_class_features,
    read_class_selection,
    selection_file,
    selection_measures,
)

STOOD_FOR = 24
"""Images that are shown of those that a chosen one stands for, the ones that it gives most mass to first."""
TELLING = 0.995
"""A gap from here on says nothing: the bound is about 0."""
LEFT_OUT = 120
"""Images that are shown of those that are left out."""


@dataclass(frozen=True)
class ImageView:
    """One image of the class."""

    row: int
    """Where it is in the class, for its picture."""
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
    """Share of the class's mass that it stands for, 0 to 1."""
    count: int
    """Images that it stands for."""
    gain: float | None
    stands_for: tuple[ImageView, ...]


@dataclass(frozen=True)
class ClassView:
    """All that a class's page shows of one method."""

    method: str
    class_name: str
    num_images: int
    proof: str
    figures: dict[str, float]
    """By the words of `MEASURES`."""
    chosen: tuple[ChosenView, ...]
    left_out: tuple[ImageView, ...]
    num_left_out: int
    history: Plot | None
    map: Plot | None
    """None if the features are gone."""


def class_view(run: Run, method: str, class_name: str, number: int = 0) -> ClassView:
    """Read one class.

    Args:
        run: the run.
        method: one of its methods.
        class_name: the class.
        number: which of the class views of a page it is, to tell their figures apart.

    Raises: InputError if the class has not been selected by the method, or its files are damaged.
    """
    selection = read_selection(run, method, class_name)
    measures = selection_measures(selection.summary)
    left_out = np.flatnonzero(selection.assignment < 0)
    return ClassView(
        method=method,
        class_name=class_name,
        num_images=len(selection.image_ids),
        proof=_proof(selection, measures),
        figures={words: measures[name] for name, words in MEASURES.items() if name in measures},
        chosen=tuple(_chosen(selection)),
        left_out=tuple(_image(selection, int(row)) for row in left_out[:LEFT_OUT]),
        num_left_out=len(left_out),
        history=_history(selection, method, number, run.config.selection.methods),
        map=_map(run, selection, method, number),
    )


def read_selection(run: Run, method: str, class_name: str) -> ClassSelection:
    """Return the selection of one class.

    Raises: InputError if there is none, or its file is damaged.
    """
    methods = run.config.selection.methods
    if method not in methods:
        raise InputError(
            f"method must be one of the run's ({', '.join(methods)}), found {method!r}"
        )
    directory = run.selection_directory(method)
    if not _is_plain(class_name) or not run.store.exists(selection_file(directory, class_name)):
        raise InputError(f"class {class_name!r} has no selection by {method} in this run")
    return read_class_selection(run.store, directory, class_name)


def _is_plain(class_name: str) -> bool:
    """Tell whether a name is one of a directory, not a way to another."""
    return (
        bool(class_name)
        and "/" not in class_name
        and "\0" not in class_name
        and len(class_name.encode()) < 240
    )


def _proof(selection: ClassSelection, measures: dict[str, float]) -> str:
    if selection.summary.get("diagnostics", {}).get("take_all"):
        return "The class is no larger than the budget: all of it was taken."
    if measures.get("swap_optimal"):
        gap = measures.get("gap", 1.0)
        within = (
            f", and no subset of this size is more than {gap:.2%} better" if gap < TELLING else ""
        )
        return f"Proven: no single swap lowers the objective{within}."
    return "This method gives no proof."


def _chosen(selection: ClassSelection) -> Iterator[ChosenView]:
    for rank, index in enumerate(selection.indices):
        members = np.flatnonzero(selection.assignment == index)
        heaviest = members[np.argsort(-selection.represented_mass[members], kind="stable")]
        gain = float(selection.gain[rank])
        yield ChosenView(
            image=_image(selection, int(index)),
            rank=rank + 1,
            share=float(selection.represented_mass[members].sum()),
            count=len(members),
            gain=gain if math.isfinite(gain) else None,
            stands_for=tuple(
                _image(selection, int(row)) for row in heaviest[:STOOD_FOR] if row != index
            ),
        )


def _image(selection: ClassSelection, row: int) -> ImageView:
    entropy = math.nan if selection.cross_entropy is None else float(selection.cross_entropy[row])
    return ImageView(row, selection.image_ids[row], entropy if math.isfinite(entropy) else None)


def _history(
    selection: ClassSelection, method: str, number: int, methods: tuple[str, ...]
) -> Plot | None:
    steps = [step for step in selection.summary["history"] if np.isfinite(step["objective"])]
    if not steps:
        return None
    objective, stages = (
        np.array([step["objective"] for step in steps]),
        tuple(str(step["stage"]) for step in steps),
    )
    return history_plot(
        ObjectiveHistory(
            selection.class_name, method, objective, stages, selection.summary["lower_bound"]
        ),
        number,
        methods,
    )


def _map(run: Run, selection: ClassSelection, method: str, number: int) -> Plot | None:
    directory = run.features_directory(run.config.encoder)
    if not run.store.exists(class_file(directory, selection.class_name)):
        return None
    features = read_class_features(run.store, directory, selection.class_name).features
    left_out = {method: np.flatnonzero(selection.assignment < 0)}
    data = FeatureMap(
        selection.class_name,
        features,
        {method: selection.indices},
        left_out,
        {method: selection.assignment},
    )
    return map_plot(data, number, run.config.selection.methods)
