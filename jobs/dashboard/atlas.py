"""The map of all classes: some images of each, chosen and others, in one plane of features.

Every feature file is read once, one after another; of each class a few rows are kept, so that the
memory is bounded however many images there are.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from jaxtyping import Float, Int

from jobs.dashboard.class_view import check_method, selected_classes
from jobs.run_directory.groups import unit_word
from jobs.run_directory.run import Run
from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.report.planes import class_plane
from otcondense.store import read_class_selection

MOST_POINTS = 12_000
"""Images on the map: a browser draws and searches them at once, and their features take 100 MB."""
DIGITS = 4
"""Significant digits of a coordinate; a screen shows three."""


class AtlasClass(Config):
    """The points of one class, in three lists of equal length."""

    name: str
    size: int
    """Images of the class."""
    rows: tuple[int, ...]
    """Place of each image in the class, by which its picture is requested; chosen ones first."""
    num_chosen: int
    """Images at the beginning of `rows` that are chosen."""
    x: tuple[float, ...]
    y: tuple[float, ...]


class Atlas(Config):
    """The map of all classes under one method."""

    method: str
    classes: tuple[AtlasClass, ...]
    shares: tuple[float, float]
    """Shares of the variance of the shown images that lie in the two directions."""
    missing: int
    """Selected classes whose features have been deleted."""
    num_chosen: int
    """All chosen images of the shown classes; some of them, if they are many, are not shown."""


@dataclass(frozen=True)
class _Rows:
    """What the map needs of one class."""

    name: str
    size: int
    rows: Int[np.ndarray, " k"]
    shown: int
    """Chosen images among the rows."""
    chosen: int
    features: Float[np.ndarray, "k d"]
    mean: Float[np.ndarray, " d"]


def atlas(run: Run, method: str) -> Atlas:
    """Return the map of all classes that a method has selected.

    Raises: InputError if the run lacks the method, or nothing is left to show.
    """
    check_method(run, method)
    names = selected_classes(run, method)
    found = list(_classes(run, method, names))
    if not found:
        unit = unit_word(run.config)
        raise InputError(
            f"no {unit} selected by {method} has features in this run; the map needs both"
        )
    features = np.concatenate([each.features for each in found])
    means = np.stack([each.mean for each in found])
    points, shares = class_plane(features, means)
    starts = accumulate((len(each.rows) for each in found), initial=0)
    classes = [_placed(each, points, start) for each, start in zip(found, starts, strict=False)]
    return Atlas(
        method=method,
        classes=tuple(classes),
        shares=(float(shares[0]), float(shares[1])),
        missing=len(names) - len(found),
        num_chosen=sum(each.chosen for each in found),
    )


def _classes(run: Run, method: str, names: Sequence[str]) -> Iterator[_Rows]:
    most = max(1, MOST_POINTS // max(1, len(names)))
    view = run.selection_view()
    selections = run.selection_directory(method)
    for name in names:
        if not view.is_there(run.store, name):
            continue
        matrix = view.read(run.store, name).features
        chosen = read_class_selection(run.store, selections, name).indices
        rows = shown_rows(chosen, len(matrix), most)
        yield _Rows(
            name=name,
            size=len(matrix),
            rows=rows,
            shown=int(np.isin(rows, chosen).sum()),
            chosen=len(chosen),
            features=matrix[rows],
            mean=matrix.mean(axis=0, dtype=np.float64).astype(np.float32),
        )


def shown_rows(chosen: Int[np.ndarray, " c"], size: int, most: int) -> Int[np.ndarray, " k"]:
    """Return the rows of a class on the map, chosen ones first.

    Args:
        chosen: rows of the chosen images, in the order of choice.
        size: images of the class.
        most: rows to return, at most. Chosen images take half of them, or all that others leave.
    """
    others = np.setdiff1d(np.arange(size), chosen)
    from_others = min(len(others), most - min(len(chosen), -(-most // 2)))
    from_chosen = min(len(chosen), most - from_others)
    spaced = np.linspace(0, max(0, len(others) - 1), from_others).round().astype(np.int64)
    return np.concatenate([chosen[:from_chosen], others[spaced]])


def _placed(each: _Rows, points: Float[np.ndarray, "n 2"], start: int) -> AtlasClass:
    own = points[start : start + len(each.rows)]
    return AtlasClass(
        name=each.name,
        size=each.size,
        rows=tuple(each.rows.tolist()),
        num_chosen=each.shown,
        x=_rounded(own[:, 0]),
        y=_rounded(own[:, 1]),
    )


def _rounded(values: Float[np.ndarray, " k"]) -> tuple[float, ...]:
    return tuple(float(f"{value:.{DIGITS}g}") for value in values)
