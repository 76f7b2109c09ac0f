"""Locations of images: one string says where the bytes of an image are.

A location travels through data sets and logs. It is the absolute path or the URI of a file, or
`PREFIX:PLACE@FILE` for an image inside another file, such as `bytes:OFFSET+SIZE@FILE`.
"""

from otcondense.datasets.access import IMAGE_BYTES, read_file
from otcondense.datasets.kinds import reader_of
from otcondense.datasets.records import is_remote


def is_local_file(location: str) -> bool:
    """Tell whether a location is a whole file of this machine, so that a link can lead to it."""
    return not is_remote(location) and reader_of(location) is None


def read_image_bytes(location: str) -> bytes:
    """Return the bytes of one image.

    Raises: OSError if they cannot be read, also for a FIFO or far too many bytes; InputError if the
        source has no images.
    """
    reader = reader_of(location)
    if reader is None:
        return read_file(location, IMAGE_BYTES)
    place, path = location.partition(":")[2].split("@", 1)
    return reader.read(place, path)


def file_of(location: str) -> str:
    """Return the file that holds an image: the image itself, or the container it lies in."""
    return location if reader_of(location) is None else location.partition(":")[2].split("@", 1)[1]
