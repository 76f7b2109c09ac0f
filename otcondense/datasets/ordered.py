"""The bytes of many images in any order, although each file is read from front to back.

A row group of Parquet is read as a whole, so images in an order of their own would read it again
for each of them. They are read in storage order, and wait in a temporary file for their turn.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise

from otcondense.datasets.kinds import reader_of
from otcondense.datasets.locations import file_of
from otcondense.datasets.wanted import WantedImage, read_wanted

Read = Callable[[], bytes]
"""Returns the bytes of one image; raises InputError as `read_wanted` does."""
Place = tuple[str, int, int]
"""File, row group and row of an image in Parquet."""
NOT_IN_PARQUET: Place = ("", -1, -1)
"""Place of an image that can be read alone."""


def reads(images: Sequence[WantedImage]) -> Iterator[Read]:
    """Yield what reads each image, in order; every row group of Parquet is read once.

    Images of Parquet are read here, others when they are called, which may be in another thread.
    Images in another order than that of the storage take space on the disk of temporary files
    until the last one is read.
    """
    places = [_place(image.path) for image in images]
    if all(place == NOT_IN_PARQUET for place in places):
        yield from (partial(read_wanted, image) for image in images)
    elif all(before <= after for before, after in pairwise(places)):
        yield from (partial(bytes, read_wanted(image)) for image in images)
    else:
        yield from _spooled(images, sorted(range(len(images)), key=places.__getitem__))


def read_all(images: Sequence[WantedImage]) -> Iterator[bytes]:
    """Yield the bytes of images in their order; every row group of Parquet is read once.

    Raises: InputError as `read_wanted` does.
    """
    return (read() for read in reads(images))


def _spooled(images: Sequence[WantedImage], order: Sequence[int]) -> Iterator[Read]:
    """Read images in storage order, and then yield them in theirs."""
    ranges: dict[int, tuple[int, int]] = {}
    with tempfile.TemporaryFile() as spool:
        for number in order:
            data = read_wanted(images[number])
            ranges[number] = (spool.tell(), len(data))
            spool.write(data)
        for number in range(len(images)):
            start, size = ranges[number]
            spool.seek(start)
            yield partial(bytes, spool.read(size))


def _place(location: str) -> Place:
    reader = reader_of(location)
    if reader is None or reader.prefix != "cell":
        return NOT_IN_PARQUET
    row_group, row, _ = location.partition(":")[2].split("/", 2)
    return (file_of(location), int(row_group), int(row))
