"""The parts of a class: the images of each of its feature files.

The images of a class are split in storage order, so that a task that regroups a part opens only
the shards that hold its images. The parts depend on the listing alone.
"""

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from otcondense.datasets import Listing

PART_ROWS = 2**16
"""Images of a feature file at most. A file is read and written whole: one of 65,536 images with
2,048 features has half a gigabyte, and that of ten million images would have eighty."""


def count_parts(images: int) -> int:
    """Return the number of feature files of a class."""
    return max(1, -(-images // PART_ROWS))


def rows_of_parts(listing: Listing, name: str, count: int) -> list[Int64[np.ndarray, " _"]]:
    """Return the rows of each part of a class, sorted.

    The parts have equal sizes up to one.
    """
    rows = listing.rows_of(name)
    if count == 1:
        return [np.arange(rows.start, rows.stop)]
    order = listing.storage_order
    stored = order[(order >= rows.start) & (order < rows.stop)]
    return [np.sort(part) for part in np.array_split(stored, count)]


def ids_of_rows(listing: Listing, rows: Int64[np.ndarray, " n"]) -> pa.Array:
    """Return the ids of some rows of a listing, as texts."""
    ids = listing.table.column("image_id").take(pa.array(rows)).combine_chunks()
    return ids.cast(pa.string())
