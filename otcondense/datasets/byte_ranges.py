"""Images that are a range of bytes in another file."""

import errno

from otcondense.datasets.access import IMAGE_BYTES, file_system
from otcondense.datasets.kinds import BYTE_RANGES
from otcondense.datasets.records import is_remote
from otcondense.reading import check_size, open_regular


def byte_range(path: str, offset: int, size: int) -> str:
    """Return the location of the `size` bytes of a file that start at `offset`."""
    return f"{BYTE_RANGES.prefix}:{offset}+{size}@{path}"


def read_range(place: str, path: str) -> bytes:
    """Return the bytes of one image.

    Raises: OSError if the file cannot be read or ends too early.
    """
    offset, size = map(int, place.split("+"))
    check_size(f"an image in {path}", size, IMAGE_BYTES)
    data = _read(path, offset, size)
    if len(data) != size:
        raise OSError(errno.EIO, f"the file {path} ends before byte {offset + size}")
    return data


def _read(path: str, offset: int, size: int) -> bytes:
    if is_remote(path):
        filesystem, inner = file_system(path)
        return bytes(filesystem.cat_file(inner, start=offset, end=offset + size))
    with open_regular(path) as file:
        file.seek(offset)
        return file.read(size)
