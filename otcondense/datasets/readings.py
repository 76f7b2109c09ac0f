"""Reading many images in storage order, ahead of their use.

Values of Parquet are read one after another, so that their files are read from front to back. Other
images can be read in any order, by many threads at once.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from otcondense.datasets.ahead import in_threads, taken_ahead
from otcondense.datasets.kinds import reader_of
from otcondense.datasets.locations import file_of, read_image_bytes
from otcondense.datasets.records import is_remote

Reading = Callable[[], bytes]
"""Returns the bytes of one image; raises OSError if they cannot be read."""
REMOTE_READERS = 32
"""Threads that wait for a store in the network: at 40 ms a request, 800 images/s."""


def readings_ahead(locations: Sequence[str], ahead: int) -> Iterator[Reading]:
    """Yield the readings of images, started before they are needed.

    One thread goes through the row groups of Parquet. A store in the network answers many requests
    at once, each after a while.
    """
    found = readings(locations)
    if any(_is_cell(location) for location in locations[:1]):
        return taken_ahead(found, ahead)
    if any(is_remote(file_of(location)) for location in locations[:1]):
        return in_threads(_done, found, threads=REMOTE_READERS, ahead=ahead)
    return found


def _done(read: Reading) -> Reading:
    """Read an image now; an error is raised where the bytes are needed."""
    try:
        data = read()
    except OSError as error:
        return _failing(error)
    return lambda: data


def readings(locations: Iterable[str]) -> Iterator[Reading]:
    """Yield what reads each image.

    Values of Parquet are read here, one after another: their files are read from front to back.
    Other images are read by the threads.
    """
    for location in locations:
        later = _later(location)
        yield _done(later) if _is_cell(location) else later


def _is_cell(location: str) -> bool:
    """Tell whether an image lies in a Parquet file."""
    reader = reader_of(location)
    return reader is not None and reader.prefix == "cell"


def _later(location: str) -> Reading:
    return lambda: read_image_bytes(location)


def _failing(error: OSError) -> Reading:
    def fail() -> bytes:
        raise error

    return fail
