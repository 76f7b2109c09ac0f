"""Rows in memory are split into groups of bounded size, whose rows are near each other."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int

from otcondense.errors import InputError
from otcondense.grouping.balance import Limits, move_to_nearer, without_small_groups
from otcondense.grouping.centres import ROWS_PER_CENTRE, fit_centres, nearest_centres
from otcondense.grouping.config import GroupConfig
from otcondense.threads import one_thread

MOST_CENTRES = 256
"""Centres of one fit; more groups take several levels."""
DEEPEST = 12
"""Levels within the memory: what is still too large then is cut in the order of its rows. Only
rows whose distances differ by many powers of ten need more than three."""


@dataclass(frozen=True)
class Split:
    """The groups of some rows."""

    labels: Int[np.ndarray, " n"]
    """Group of each row, from 0; groups are counted in the order of their first rows."""
    cut: int
    """Rows of more equal ones than fit into a group: these are cut in the order of the rows."""

    @property
    def sizes(self) -> Int[np.ndarray, " g"]:
        """Rows of each group."""
        return np.bincount(self.labels)


def split_rows(rows: Float32[np.ndarray, "n d"], config: GroupConfig) -> Split:
    """Return groups of at most `config.most` rows that are near each other.

    Balanced k-means: about two groups' worth of centres are fitted to a sample, cells that are too
    large are split again, small ones are merged with the nearest or filled from it, and rows move
    to nearer groups with room.

    Every row is in one group. No group is above `most` or empty. With more than `most` rows, no
    group has fewer than an eighth of `most`. More than `most` equal rows become groups of equal
    rows, in their order. The result depends on the rows, their order and the configuration only.

    Args:
        rows: features [n, d], finite, at least one.
        config: largest size, resamplings and seed.

    Raises: InputError if there are no rows, or not all of them are finite.
    """
    check_rows(rows)
    limits = Limits(config.most)
    if len(rows) <= config.most:
        return Split(np.zeros(len(rows), dtype=np.int64), 0)
    with one_thread():
        labels, cut = _divided(rows, config)
        labels = _counted(without_small_groups(rows, labels, limits))
        if not config.resamplings:
            # Moves follow the density, which resampled centres are to disregard.
            labels = move_to_nearer(rows, labels, limits)
    return Split(_counted(labels), cut)


def check_rows(rows: Float32[np.ndarray, "n d"]) -> None:
    """Refuse rows that cannot be grouped.

    Raises: InputError.
    """
    if rows.ndim != 2 or not rows.size:
        raise InputError(
            f"features to group must be rows and columns, found an array of shape {rows.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise InputError(
            "features to group must be finite, found NaN or infinite values in row "
            f"{bad[0]} and {len(bad) - 1} more; leave these images out, or extract them again"
        )


def _divided(
    rows: Float32[np.ndarray, "n d"], config: GroupConfig
) -> tuple[Int[np.ndarray, " n"], int]:
    """Return labels of groups of at most `most` rows, and the number of rows that were cut."""
    labels = np.empty(len(rows), dtype=np.int64)
    pending = [(np.arange(len(rows)), 0)]
    count = 0
    cut = 0
    while pending:
        members, depth = pending.pop()
        if len(members) <= config.most:
            labels[members] = count
            count += 1
            continue
        pieces = _pieces(rows[members], config, depth) if depth < DEEPEST else []
        if len(pieces) < 2:
            pieces = np.array_split(np.arange(len(members)), -(-len(members) // config.most))
            cut += len(members)
        pending += [(members[piece], depth + 1) for piece in reversed(pieces)]
    return labels, cut


def _pieces(
    rows: Float32[np.ndarray, "m d"], config: GroupConfig, depth: int
) -> list[Int[np.ndarray, " p"]]:
    """Return the rows of each cell of k-means; one cell if all rows are equal."""
    count = min(MOST_CENTRES, -(-2 * len(rows) // config.most))
    fitted = rows
    if len(rows) > count * ROWS_PER_CENTRE:
        rng = np.random.default_rng([config.seed, depth, len(rows)])
        fitted = rows[np.sort(rng.choice(len(rows), count * ROWS_PER_CENTRE, replace=False))]
    centres = fit_centres(fitted, count, config.seed, config.resamplings)
    labels = nearest_centres(rows, centres)
    return [np.flatnonzero(labels == each) for each in np.unique(labels)]


def _counted(labels: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """Return labels from 0 without gaps, in the order of the first row of each."""
    _, first, places = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[places]
