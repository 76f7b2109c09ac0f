"""A class without its copies and held-out images, and the way back to the whole class."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from otcondense.errors import InputError
from otcondense.history import Step
from otcondense.selection.copies import CopyGroups, find_copies
from otcondense.store import ClassFeatures, CopyExample, CopySummary

EXAMPLES = 3
"""Groups of copies that the summary of a class names, the largest."""
SHOWN_COPIES = 3
"""Copies that it names of each group."""

DuplicatePolicy = Literal["merge", "keep", "drop"]


@dataclass(frozen=True)
class CopyRules:
    """What to do about copies in a class."""

    duplicates: DuplicatePolicy = "keep"
    """merge makes one candidate of a group and keeps its weight in the class, drop removes the
    copies from the class, keep looks for none."""
    near_copies: float = 0.0
    """Threshold of near copies, as a share of the usual distance to a neighbour."""
    held_out: frozenset[str] = frozenset()
    """SHA-256 of the held-out images; images of these bytes are left out of the class."""
    refuses_held_out: bool = False
    """Whether such images are an error instead."""


@dataclass(frozen=True)
class ReducedClass:
    """The images that a selector sees of one class."""

    size: int
    """Images in the whole class."""
    rows: Int[np.ndarray, " m"]
    """Rows of the whole class that the selector sees, in ascending order."""
    include: list[int]
    """Positions in `rows` of the images that must be chosen, in the order given."""
    exclude: list[int]
    """Positions in `rows` of the images that are no candidates."""
    dropped: dict[int, int]
    """The row that stands for each row that was dropped as a copy."""
    summary: CopySummary

    @property
    def candidates(self) -> int:
        """Number of images that may be chosen."""
        return len(self.rows) - len(self.exclude)

    def assignment(self, reduced: Int[np.ndarray, " m"]) -> Int[np.ndarray, " n"]:
        """Return the assignment of the whole class; a dropped copy has that of its group.

        Images that were left out have -1.
        """
        whole = np.full(self.size, -1, dtype=np.int64)
        whole[self.rows] = np.where(reduced >= 0, self.rows[reduced], -1)
        for copy, kept in self.dropped.items():
            whole[copy] = whole[kept]
        return whole

    def mass(self, reduced: Float[np.ndarray, " m"]) -> Float[np.ndarray, " n"]:
        """Return the mass of each image of the whole class; images not seen have none."""
        whole = np.zeros(self.size)
        whole[self.rows] = reduced
        return whole

    def history(self, reduced: Sequence[Step]) -> tuple[Step, ...]:
        """Return the steps with rows of the whole class."""
        steps = []
        for step in reduced:
            removed = None if step.removed is None else int(self.rows[step.removed])
            steps.append(replace(step, added=int(self.rows[step.added]), removed=removed))
        return tuple(steps)


def reduce_class(
    features: ClassFeatures,
    rules: CopyRules,
    include: Sequence[int] = (),
    exclude: Sequence[int] = (),
) -> ReducedClass:
    """Return what a selector sees of a class.

    A group of copies is represented by the images of it that must be chosen, else by its first
    image by id that may be chosen.

    Args:
        features: the whole class.
        rules: what to do about copies.
        include: rows of images that must be chosen.
        exclude: rows of images that must not be chosen.

    Raises: InputError if held-out images are refused or must be chosen, or no image is left.
    """
    held_out = np.array([sha256 in rules.held_out for sha256 in features.sha256], dtype=bool)
    _check_held_out(features, rules, held_out, include)
    rows = np.flatnonzero(~held_out)
    groups = None
    copies: dict[int, int] = {}
    if rules.duplicates != "keep":
        groups = _find(features, rows, rules.near_copies)
        copies = _copies(groups, set(include), set(exclude))
    dropped = copies if rules.duplicates == "drop" else {}
    rows = np.setdiff1d(rows, np.array(list(dropped), dtype=np.int64))
    barred = (set(exclude) | set(copies)) - set(dropped)
    return ReducedClass(
        size=features.size,
        rows=rows,
        include=np.searchsorted(rows, include).tolist(),
        exclude=np.flatnonzero(np.isin(rows, list(barred))).tolist(),
        dropped=dropped,
        summary=_summary(features, rules, groups, held_out),
    )


def _check_held_out(
    features: ClassFeatures,
    rules: CopyRules,
    held_out: np.ndarray,
    include: Sequence[int],
) -> None:
    found = np.flatnonzero(held_out)
    if not len(found):
        return
    where = f"{len(found)} of {features.size} images of class {features.class_name}"
    if rules.refuses_held_out:
        raise InputError(
            "source and held_out must have no image in common with "
            f"selection.held_out_copies=refuse, found {where} in both, the first "
            f"{features.image_ids[found[0]]}; remove them, or set it to leave_out"
        )
    forced = sorted(set(include) & set(found.tolist()))
    if forced:
        raise InputError(
            "images that must be chosen must not be held-out ones, found "
            f"{features.image_ids[forced[0]]} in both; set selection.held_out_copies=keep "
            "if that is wanted"
        )
    if len(found) == features.size:
        raise InputError(
            f"a class must have images that are not held out, found {where} in both; correct "
            "held_out, or set selection.held_out_copies=keep"
        )


def _find(features: ClassFeatures, rows: Int[np.ndarray, " m"], share: float) -> CopyGroups:
    ids = [features.image_ids[row] for row in rows]
    hashes = [features.sha256[row] for row in rows]
    found = find_copies(features.features[rows], ids, hashes, share)
    whole = np.arange(features.size)
    whole[rows] = rows[found.leader]
    distance = np.zeros(features.size)
    distance[rows] = found.distance
    return replace(found, leader=whole, distance=distance)


def _copies(groups: CopyGroups, include: set[int], exclude: set[int]) -> dict[int, int]:
    """Return the images that another one of their group stands for, and that one."""
    copies: dict[int, int] = {}
    for members in groups.groups():
        in_order = members.tolist()
        kept = [row for row in in_order if row in include]
        if not kept:
            kept = [row for row in in_order if row not in exclude][:1] or in_order[:1]
        copies |= {row: kept[0] for row in in_order if row not in kept}
    return copies


def _summary(
    features: ClassFeatures, rules: CopyRules, groups: CopyGroups | None, held_out: np.ndarray
) -> CopySummary:
    if groups is None:
        return CopySummary(policy=rules.duplicates, held_out=int(held_out.sum()))
    found = groups.groups()
    return CopySummary(
        policy=rules.duplicates,
        exact=groups.exact,
        near=groups.near,
        groups=len(found),
        threshold=groups.threshold,
        neighbour_distance=groups.neighbour_distance,
        held_out=int(held_out.sum()),
        examples=tuple(_example(features, groups, rows) for rows in found[:EXAMPLES]),
    )


def _example(
    features: ClassFeatures, groups: CopyGroups, rows: Int[np.ndarray, " m"]
) -> CopyExample:
    ids = [features.image_ids[row] for row in rows]
    return CopyExample(
        ids[0], tuple(ids[1 : 1 + SHOWN_COPIES]), len(ids), float(groups.distance[rows].max())
    )
