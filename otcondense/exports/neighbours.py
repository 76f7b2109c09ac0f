"""The nearest images of each image of a class, as columns of a table."""

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from otcondense.selection.nearest import Distances

NEIGHBOURS = 10
"""Nearest images of each: a line of pictures in a viewer."""
BLOCK_VALUES = 1 << 22
"""Distances in memory at a time (32 MB)."""


def nearest_images(features: Float[np.ndarray, "n d"], first_row: int) -> pa.Array:
    """Return the nearest other images of the class for each image, the nearest first.

    Args:
        features: of all images of the class.
        first_row: row of its first image in the table.

    Returns: structs of `ids`, rows of the table, and `distances`, Euclidean.
    """
    size = len(features)
    count = min(NEIGHBOURS, size - 1)
    distances = Distances(np.asarray(features, np.float64))
    rows = np.empty((size, count), np.int64)
    values = np.empty((size, count))
    block = max(1, BLOCK_VALUES // size)
    for start in range(0, size, block):
        part = np.arange(start, min(size, start + block))
        squared = distances.to(part).T
        squared[np.arange(len(part)), part] = np.inf
        near = np.argpartition(squared, max(0, count - 1), axis=1)[:, :count]
        order = np.lexsort((near, np.take_along_axis(squared, near, axis=1)), axis=1)
        rows[part] = np.take_along_axis(near, order, axis=1)
        values[part] = np.sqrt(np.take_along_axis(squared, rows[part], axis=1))
    lists = [_lists(rows + first_row, pa.int64()), _lists(values, pa.float32())]
    return pa.StructArray.from_arrays(lists, ["ids", "distances"])


def _lists(array: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Return the rows of an array [n, k] as lists."""
    offsets = pa.array(np.arange(len(array) + 1, dtype=np.int32) * array.shape[1], pa.int32())
    return pa.ListArray.from_arrays(offsets, pa.array(array.reshape(-1)).cast(kind))
