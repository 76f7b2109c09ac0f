"""The manifest of a subset that was chosen from groups: in terms of the classes of the source."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from otcondense.store.selection import GROUP, MANIFEST_TYPES

GAIN_TIE = 1e-6
"""Gains closer than this share of the largest one of a class are equal, as in one selection."""


@dataclass(frozen=True)
class TrueClasses:
    """The classes of the chosen images in the source."""

    names: list[str]
    index: Int[np.ndarray, " k"]


def grouped_manifest(
    plain: pa.Table, sizes: Mapping[str, int], class_of: Mapping[str, str], true: TrueClasses
) -> pa.Table:
    """Return a manifest by class, group and choice.

    Masses and gains become shares of the class that the group is a part of: of all images, if
    labels are ignored. `weight` is the mass times the number of images chosen from that class, so
    that weights average 1 if no image is left out. `choice` and `rank` count the images of a class:
    the first choices of all groups come before the second ones.

    Args:
        plain: the manifest with each group as a class, from `manifest_table`.
        sizes: images of each group, in order.
        class_of: class of each group.
        true: classes of the images of `plain`, in its order.
    """
    groups = plain.column("class_name").to_pylist()
    places = plain.column("class_index").to_numpy()
    of_class = np.array([class_of[name] for name in groups], dtype=object)
    share = _shares(groups, sizes, class_of)
    mass = plain.column("represented_mass").to_numpy() * share
    gain = plain.column("gain").to_numpy(zero_copy_only=False) * share
    choice = plain.column("choice").to_numpy()
    rank = plain.column("rank").to_numpy()
    changed = {
        "class_name": true.names,
        "class_index": true.index,
        "choice": _numbered(true.index, np.lexsort((places, choice, true.index))),
        "rank": _numbered(true.index, np.lexsort((places, rank, -_steps(gain, true), true.index))),
        "weight": mass * _counts(of_class),
        "represented_mass": mass,
        "gain": gain,
    }
    arrays = []
    for name, kind in MANIFEST_TYPES.items():
        values = changed.get(name)
        column = plain.column(name)
        arrays.append(column if values is None else pa.array(values, kind, from_pandas=True))
    table = pa.Table.from_arrays(arrays, names=list(MANIFEST_TYPES))
    table = table.append_column(GROUP, pa.array(groups, pa.string()))
    return table.take(pa.array(np.lexsort((choice, places, true.index))))


def _shares(
    groups: list[str], sizes: Mapping[str, int], class_of: Mapping[str, str]
) -> Float[np.ndarray, " k"]:
    """Return the share of its class that the group of each image has."""
    totals: dict[str, int] = {}
    for name, size in sizes.items():
        totals[class_of[name]] = totals.get(class_of[name], 0) + size
    return np.array([sizes[name] / totals[class_of[name]] for name in groups], dtype=np.float64)


def _counts(names: np.ndarray) -> Int[np.ndarray, " k"]:
    """Return, for each image, how many have the same name."""
    _, inverse, counts = np.unique(names.astype(str), return_inverse=True, return_counts=True)
    return counts[inverse]


def _steps(gain: Float[np.ndarray, " k"], true: TrueClasses) -> Float[np.ndarray, " k"]:
    """Return gains in steps in which equal ones tie; unknown ones are below all others."""
    steps = np.full(len(gain), -np.inf)
    for index in np.unique(true.index):
        of_class = (true.index == index) & np.isfinite(gain)
        largest = np.abs(gain[of_class]).max(initial=0)
        steps[of_class] = np.rint(gain[of_class] / (GAIN_TIE * largest or 1.0))
    return steps


def _numbered(classes: Int[np.ndarray, " k"], order: Int[np.ndarray, " k"]) -> np.ndarray:
    """Return the number of each image within its class, from 0, in an order that sorts classes."""
    sorted_classes = classes[order]
    starts = np.flatnonzero(np.diff(sorted_classes, prepend=-1))
    first = np.repeat(starts, np.diff([*starts, len(order)]))
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.arange(len(order)) - first
    return numbers
