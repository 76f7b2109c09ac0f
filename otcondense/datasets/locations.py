"""Locations of images: one string says where the bytes of an image are.

A location travels through data sets and logs. It is the absolute path or the URI of a file, or
`PREFIX:PLACE@FILE` for an image inside another file, such as `bytes:OFFSET+SIZE@FILE`.
"""

from pathlib import Path

import fsspec

from otcondense.datasets.kinds import reader_of
from otcondense.datasets.records import is_remote


def is_local_file(location: str) -> bool:
    """Tell whether a location is a whole file of this machine, so that a link can lead to it."""
    return not is_remote(location) and reader_of(location) is None


def read_image_bytes(location: str) -> bytes:
    """Return the bytes of one image.

    Raises: OSError if they cannot be read, InputError if the source has no images.
    """
    reader = reader_of(location)
    if reader is None:
        return _read_file(location)
    place, path = location.partition(":")[2].split("@", 1)
    return reader.read(place, path)


def _read_file(path: str) -> bytes:
    if not is_remote(path):
        return Path(path).read_bytes()
    with fsspec.open(path, "rb") as file:
        return bytes(file.read())
