"""The coarse levels of a class that no worker can hold: cells by the nearest of some centres."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float32, Int

from otcondense.grouping.centres import ROWS_PER_CENTRE, fit_centres, nearest_centres
from otcondense.grouping.config import GroupConfig
from otcondense.grouping.draws import scattered
from otcondense.threads import one_thread

MOST_CELLS = 128
"""Cells that a level makes of one: their centres are fitted to at most 32,768 images."""
MOST_LEVELS = 6
"""Levels of centres: 128 cells each, so that more are needed only if nearly all rows are equal."""


def cells_of(size: int, most: int) -> int:
    """Return the number of cells that a level makes of one.

    Args:
        size: of the cell.
        most: rows that a worker holds; the cells aim at half of it.
    """
    return max(2, min(MOST_CELLS, -(-2 * size // most)))


def sample_share(size: int, count: int) -> float:
    """Return the share of a cell that its centres are fitted to."""
    return count * ROWS_PER_CENTRE / size


def coarse_centres(
    rows: Float32[np.ndarray, "n d"], count: int, level: int, config: GroupConfig
) -> Float32[np.ndarray, "k d"]:
    """Return the centres of a cell; a single one if only its ids can divide it.

    Args:
        rows: sample of the cell, in the order of the ids.
        count: centres to look for.
        level: from 0.
        config: resamplings and seed.
    """
    if level < MOST_LEVELS and len(rows):
        with one_thread():
            return fit_centres(rows, count, config.seed, config.resamplings)
    return np.zeros((1, rows.shape[1]), dtype=np.float32)


def assign(
    rows: Float32[np.ndarray, "n d"],
    image_ids: Sequence[str],
    centres: Float32[np.ndarray, "k _"],
    count: int,
    level: int,
) -> Int[np.ndarray, " n"]:
    """Return the cell of each row, from 0 to `count` - 1.

    Args:
        rows: features.
        image_ids: their ids.
        centres: of the cells; if there is one only, the ids decide.
        count: cells.
        level: from 0.
    """
    if len(centres) == 1:
        return scattered(image_ids, count, f"cells of level {level}")
    with one_thread():
        return nearest_centres(rows, centres)


def joined_cells(
    sizes: Mapping[int, int], centres: Float32[np.ndarray, "k d"], least: int
) -> list[tuple[int, ...]]:
    """Return the cells of a level; one below the least size is joined with the nearest.

    Args:
        sizes: rows of each cell, by its number.
        centres: by number; if there is one only, a cell is joined with the next smallest.
        least: rows of a cell, unless there is one only.

    Returns: the numbers that each cell is made of, in order.
    """
    present = sorted(number for number, size in sizes.items() if size)
    found: dict[int, tuple[int, ...]] = {number: (number,) for number in present}
    left = {number: sizes[number] for number in found}
    while len(left) > 1:
        small = min(left, key=lambda each: (left[each], each))
        if left[small] >= least:
            break
        others = [each for each in left if each != small]
        other = min(others, key=lambda each: (_away(centres, small, each), left[each], each))
        found[other] = tuple(sorted(found[other] + found.pop(small)))
        left[other] += left.pop(small)
    return sorted(found.values())


def _away(centres: Float32[np.ndarray, "k d"], first: int, second: int) -> float:
    if len(centres) == 1:
        return 0.0
    return float(np.square(centres[first].astype(np.float64) - centres[second]).sum())
