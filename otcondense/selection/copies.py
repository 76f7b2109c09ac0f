"""Exact and near copies in a class, found before the selection.

Exact copies are files of equal bytes. Near copies are images whose features are closer than a share
of the usual distance to a neighbour in the class, so that no unit of the features matters. Each
group of copies has a leader; every member is a copy of the leader itself, so that a chain of small
changes is cut into several groups.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from otcondense.selection.arrays import as_rows

NEIGHBOUR = 5
"""Neighbour whose distance is the usual one: four near copies of every image do not change it."""
SAMPLE = 64
"""Images whose neighbours are looked at for the usual distance: its median is known to some 4 %."""
WIDTH = 64
"""Numbers to which features are projected to find candidates quickly."""
MARGIN = 4.0
"""Candidates are pairs below this multiple of the squared threshold after the projection.

A copy misses it with probability exp(-51): the sum of 64 squares of mean 1 would have to exceed 256
(Johnson and Lindenstrauss 1984; Achlioptas 2003 for random signs).
"""
ROUNDING = 1e-12
"""Candidates may also differ by this share of their squared norms, more than rounding does."""
BLOCK_VALUES = 1 << 18
"""Numbers in the intermediate results of a block (2 MB, which a cache holds)."""


@dataclass(frozen=True)
class CopyGroups:
    """The groups of copies in one class; an image without copies is its own leader."""

    leader: Int[np.ndarray, " n"]
    """Row of the leader of each image: the first of its group by `image_id`."""
    distance: Float[np.ndarray, " n"]
    """Distance of the features to those of the leader; 0 for the leader and exact copies."""
    threshold: float
    """Images at most this far from a leader are its near copies."""
    neighbour_distance: float
    """Median distance to the fifth nearest different image of the class; 0 if it is not known."""
    exact: int
    """Images whose bytes are those of another one."""

    @property
    def copies(self) -> Int[np.ndarray, " m"]:
        """Images that are no leaders, in ascending order."""
        return np.flatnonzero(self.leader != np.arange(len(self.leader)))

    @property
    def near(self) -> int:
        """Number of near copies: images with other bytes, and close to a leader."""
        return len(self.copies) - self.exact

    def groups(self) -> list[Int[np.ndarray, " m"]]:
        """Return the rows of each group of at least two, the leader first; the largest come first.

        Groups of one size are in the order of their leaders.
        """
        members: dict[int, list[int]] = {}
        for row in self.copies.tolist():
            leader = int(self.leader[row])
            members.setdefault(leader, [leader]).append(row)
        ordered = sorted(members.values(), key=lambda rows: (-len(rows), rows[0]))
        return [np.array(rows) for rows in ordered]


def find_copies(
    features: ArrayLike, image_ids: Sequence[str], sha256: Sequence[str], share: float
) -> CopyGroups:
    """Return the groups of copies in one class.

    Images are visited in the order of their ids. One that is in no group yet leads a new one: it
    takes all images of equal bytes, and all that are in no group and at most `threshold` away. The
    result does not depend on the order of the rows.

    Args:
        features: [n, d] finite features of the class.
        image_ids: id of each image, all different.
        sha256: hash of the bytes of each image; "" if it is not known.
        share: threshold as a share of the median distance to the fifth nearest different image,
            >= 0; 0 finds exact copies only.

    Raises: InputError for features that are not finite numbers.
    """
    rows = as_rows("features", features, 2, len(image_ids))
    order = np.array(sorted(range(len(image_ids)), key=lambda row: image_ids[row]), dtype=np.int64)
    first: dict[str, int] = {}
    leader = np.arange(len(order))
    for row in order.tolist():
        leader[row] = first.setdefault(sha256[row] or image_ids[row], row)

    distinct = order[leader[order] == order]
    view = _view(rows, distinct, [image_ids[row] for row in distinct])
    usual = _neighbour_distance(view)
    threshold = share * usual
    to_leader = np.zeros(len(order))
    if 0 < threshold < math.inf:
        for row, others in _candidates(view, threshold):
            if leader[row] == row:
                free = others[leader[others] == others]
                apart = _distances(rows, row, free)
                taken = free[apart <= threshold]
                leader[taken] = row
                to_leader[taken] = apart[apart <= threshold]
    # A leader by its bytes may be a near copy itself: its followers go with it.
    return CopyGroups(
        leader=leader[leader],
        distance=to_leader[leader] + to_leader,
        threshold=threshold,
        neighbour_distance=usual,
        exact=len(order) - len(distinct),
    )


def _distances(
    rows: Float[np.ndarray, "n d"], row: int, others: Int[np.ndarray, " m"]
) -> Float[np.ndarray, " m"]:
    """Return the distances of one image to others, from the differences of their features."""
    block = max(1, BLOCK_VALUES // rows.shape[1])
    parts = [np.zeros(0)]
    for start in range(0, len(others), block):
        difference = rows[others[start : start + block]] - rows[row]
        parts.append(np.sqrt(np.square(difference).sum(axis=1)))
    return np.concatenate(parts)


@dataclass(frozen=True)
class _View:
    """The images of different bytes, seen in few numbers."""

    rows: Int[np.ndarray, " m"]
    """Rows of the images in the class, in the order of their ids."""
    points: Float[np.ndarray, "m w"]
    """Their features, projected if they are long; distances stay about the same."""
    sample: Int[np.ndarray, " s"]
    """Positions in `rows` of a sample that depends on the ids alone."""
    squared: Float[np.ndarray, "m s"]
    """Squared distances of the features to those of the sample."""


def _view(
    features: Float[np.ndarray, "n d"], rows: Int[np.ndarray, " m"], image_ids: Sequence[str]
) -> _View:
    """Return the view of some images of a class; a block of images is read at a time."""
    hashes = [hashlib.sha256(image_id.encode()).digest() for image_id in image_ids]
    sample = np.array(sorted(range(len(rows)), key=hashes.__getitem__)[:SAMPLE])
    # The median is near most images, also if some are far away.
    centre = np.median(features[rows[sample]], axis=0)
    chosen = (features[rows[sample]] - centre).T
    length = features.shape[1]
    signs = np.eye(length)
    if length > 2 * WIDTH:
        random = np.random.default_rng(0).integers(0, 2, size=(length, WIDTH))
        signs = (random * 2 - 1) / math.sqrt(WIDTH)

    directions = np.concatenate([signs, chosen], axis=1)
    width = signs.shape[1]
    points = np.empty((len(rows), width))
    squared = np.empty((len(rows), len(sample)))
    block = max(1, BLOCK_VALUES // length)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        centred = features[rows[part]] - centre
        products = centred @ directions
        points[part] = products[:, :width]
        squared[part] = _squares(centred)[:, None] - 2 * products[:, width:]
    squared += _squares(chosen.T)
    return _View(rows, points, sample, squared)


def _squares(rows: Float[np.ndarray, "n d"]) -> Float[np.ndarray, " n"]:
    squares: Float[np.ndarray, " n"] = np.einsum("nd,nd->n", rows, rows)
    return squares


def _neighbour_distance(view: _View) -> float:
    """Return the median distance to the fifth nearest other image; 0 if there are fewer images."""
    if len(view.rows) <= NEIGHBOUR:
        return 0.0
    view.squared[view.sample, np.arange(len(view.sample))] = np.inf
    nearest = np.partition(view.squared, NEIGHBOUR - 1, axis=0)[NEIGHBOUR - 1]
    return float(np.sqrt(np.median(np.maximum(nearest, 0))))


def _candidates(view: _View, threshold: float) -> Iterator[tuple[int, Int[np.ndarray, " m"]]]:
    """Yield the images that may have near copies among later ones, and those, by their rows."""
    points = view.points
    norms = _squares(points)
    limit = MARGIN * threshold**2 / 2
    half = norms * (0.5 - ROUNDING) - limit
    block = max(1, BLOCK_VALUES // len(points))
    for start in range(0, len(points), block):
        part = slice(start, start + block)
        close = points[part] @ points[start:].T >= half[part, None] + (half[start:] + limit)
        for number in np.flatnonzero(close.sum(axis=1) > 1).tolist():
            later = start + np.flatnonzero(close[number])
            yield int(view.rows[start + number]), view.rows[later[later > start + number]]
