"""Shards: the runs of stored images that are read front to back, each by one worker.

The shards and the batches in them depend on the source alone, never on the number of workers or on
what an earlier start finished. So an image gets the same bytes wherever and whenever it is encoded.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from otcondense.datasets import Listing
from otcondense.datasets.listing import ROW_BITS

MOST_IMAGES = 1024
"""Images of a shard at most, unless one row group has more: it is what a killed worker loses."""
MANY_SHARDS = 128
"""Shards of a source that has enough images, so that many workers end at nearly the same time."""
FOLDER = "_shards"
"""Folder of the files of shards, in the directory of the result."""


@dataclass(frozen=True)
class Shard:
    """Images that follow each other in the storage."""

    number: int
    start: int
    """First place in `Listing.storage_order`."""
    stop: int

    def row(self) -> dict[str, int]:
        """Return the shard as a row of a data set."""
        return {"number": self.number, "start": self.start, "stop": self.stop}

    def rows(self, listing: Listing) -> Int64[np.ndarray, " n"]:
        """Return the rows of the listing, in the order in which the images are stored."""
        return listing.storage_order[self.start : self.stop]


def plan_shards(listing: Listing, batch_size: int) -> list[Shard]:
    """Return the shards of a source in storage order.

    A row group of a Parquet file is never split: its middle cannot be read without its beginning.
    """
    ends = np.flatnonzero(_may_end_here(listing)) + 1
    wanted = images_per_shard(len(listing), batch_size)
    shards: list[Shard] = []
    start = 0
    while start < len(listing):
        last = int(np.searchsorted(ends, start + wanted, side="right")) - 1
        if last < 0 or ends[last] <= start:
            last += 1  # a single row group is larger than a shard
        stop = int(ends[last])
        shards.append(Shard(len(shards), start, stop))
        start = stop
    return shards


def images_per_shard(images: int, batch_size: int) -> int:
    """Return the size of a shard: whole batches, and many shards if there are enough images."""
    share = min(MOST_IMAGES, -(-images // MANY_SHARDS))
    return -(-share // batch_size) * batch_size


def _may_end_here(listing: Listing) -> Bool[np.ndarray, " n"]:
    """Tell for each place in storage order whether a shard may end after it."""
    order = listing.storage_order
    files = listing.numbers("file")[order]
    is_cell = np.array([*(file.kind == "cell" for file in listing.files), False])[files]
    groups = listing.numbers("position")[order] >> ROW_BITS
    is_same = is_cell[:-1] & (files[1:] == files[:-1]) & (groups[1:] == groups[:-1])
    return np.append(~is_same, True)
