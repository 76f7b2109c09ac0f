"""Groups of bounded size: small ones are merged or filled, then rows move to nearer groups."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from torch import Tensor

from otcondense.grouping.centres import means_of, squared_distances

SMALLEST_SHARE = 8
"""A group has at least a share of 1 in so many of the largest size, if all of them allow it."""
PASSES = 8
"""Passes in which rows move to nearer groups; each has new means."""
NEXT_GROUPS = 4
"""Groups that a row tries, from the nearest on, until one has room."""
LEAST_GAIN = 1e-5
"""Share of the variance that a move must gain: less is rounding."""


@dataclass(frozen=True)
class Limits:
    """The sizes of groups."""

    most: int
    """Rows of a group at most."""

    @property
    def least(self) -> int:
        """Rows of a group at least, if there are as many rows at all."""
        return max(1, self.most // SMALLEST_SHARE)


def without_small_groups(
    rows: Float32[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], limits: Limits
) -> Int[np.ndarray, " n"]:
    """Merge groups below the least size with their nearest group, or fill them from it.

    Args:
        rows: of all groups.
        labels: of the rows, counted from 0; no group is above the most.
        limits: of the sizes.

    Returns: labels of groups between least and most, unless there are fewer than least rows;
        labels without rows are left out of the count.
    """
    points = torch.from_numpy(rows)
    found = torch.from_numpy(labels.copy())
    count = int(labels.max()) + 1
    means = means_of(points, found, count).double()
    sizes = np.bincount(labels, minlength=count)
    while True:
        places = np.flatnonzero(sizes)
        small = int(places[sizes[places].argmin()])
        if sizes[small] >= limits.least or len(places) == 1:
            return found.numpy()
        others = places[places != small]
        away = (means[others] - means[small]).square().sum(dim=1)
        other = int(others[int(away.argmin())])
        if sizes[small] + sizes[other] <= limits.most:
            found[found == small] = other
        else:
            lacking = limits.least - int(sizes[small])
            found[_nearest_members(points, found == other, means[small], lacking)] = small
        sizes = np.bincount(found.numpy(), minlength=count)
        for each in (small, other):
            if sizes[each]:
                means[each] = points[found == each].double().mean(dim=0)


def _nearest_members(
    points: Float[Tensor, "n d"], is_member: Tensor, place: Float[Tensor, " d"], count: int
) -> Int[Tensor, " c"]:
    """Return the members that are nearest to a place, by index among equally near ones."""
    members = is_member.nonzero()[:, 0]
    away = (points[members].double() - place).square().sum(dim=1)
    return members[away.argsort(stable=True)[:count]]


def move_to_nearer(
    rows: Float32[np.ndarray, "n d"], labels: Int[np.ndarray, " n"], limits: Limits
) -> Int[np.ndarray, " n"]:
    """Move rows to groups whose mean is nearer, as far as the sizes stay within the limits.

    The rows that gain most move first; of several, the first. A pass is Lloyd's iteration with
    bounded cells. It goes on until nothing moves, or `PASSES` are over.

    Args:
        rows: of all groups.
        labels: of the rows, counted from 0, each with rows.
        limits: of the sizes; the labels are within them.
    """
    points = torch.from_numpy(rows)
    found = labels.copy()
    count = int(labels.max()) + 1
    spread = float((points - points.mean(dim=0)).square().sum(dim=1).double().mean())
    for _ in range(PASSES):
        means = means_of(points, torch.from_numpy(found), count)
        wishes = _wishes(points, found, means, LEAST_GAIN * spread)
        if not _move(wishes, found, limits):
            break
    return found


@dataclass(frozen=True)
class _Wishes:
    """Rows that are nearer to other groups than to their own, the largest gain first."""

    rows: Int[np.ndarray, " m"]
    nearer: Int[np.ndarray, "m c"]
    """The nearer groups of each row, from the nearest on; -1 where there is none."""


def _wishes(
    points: Float[Tensor, "n d"],
    labels: Int[np.ndarray, " n"],
    means: Float[Tensor, "k d"],
    least_gain: float,
) -> _Wishes:
    rows = []
    nearer = []
    gains = []
    start = 0
    for block in squared_distances(points, means):
        own_group = torch.from_numpy(labels[start : start + len(block)])
        own = block.gather(1, own_group[:, None])
        gain = own[:, 0] - block.min(dim=1).values
        has_wish = (gain > least_gain).nonzero()[:, 0]
        away, places = block[has_wish].sort(dim=1, stable=True)
        is_nearer = own[has_wish] - away > least_gain
        wanted = torch.where(is_nearer, places, -1)[:, :NEXT_GROUPS]
        rows.append(has_wish + start)
        nearer.append(wanted)
        gains.append(gain[has_wish])
        start += len(block)
    order = torch.cat(gains).argsort(descending=True, stable=True)
    return _Wishes(torch.cat(rows)[order].numpy(), torch.cat(nearer)[order].numpy())


def _move(wishes: _Wishes, labels: Int[np.ndarray, " n"], limits: Limits) -> int:
    """Fulfil wishes in their order, as far as the limits allow; returns the number of moves."""
    sizes = np.bincount(labels).tolist()
    moves = 0
    for row, nearer in zip(wishes.rows.tolist(), wishes.nearer.tolist(), strict=True):
        own = int(labels[row])
        if sizes[own] <= limits.least:
            continue
        for group in nearer:
            if group >= 0 and sizes[group] < limits.most:
                labels[row] = group
                sizes[own] -= 1
                sizes[group] += 1
                moves += 1
                break
    return moves
