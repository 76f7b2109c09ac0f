"""Arrays in .npz files, without pickles and within a limit on what an archive expands to."""

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from otcondense import npy
from otcondense.errors import InputError
from otcondense.reading import DAMAGED_ARCHIVE, open_regular

MEMBER = ".npy"
"""Suffix of an array in an .npz file."""
EXPANSION = 100
"""Bytes of an array that a byte of an .npz file may stand for; zeros could be a thousand."""
FLOOR = 2**26
"""Bytes that any array may have."""


@contextmanager
def opened(path: str) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file of this machine.

    Raises: InputError if it is no archive.
    """
    with open_regular(path) as file:
        try:
            archive = zipfile.ZipFile(file)
        except (*DAMAGED_ARCHIVE, ValueError, struct.error) as error:
            raise InputError(
                f"{path} is not a readable .npz file ({error}); write it again with numpy.savez"
            ) from error
        with archive:
            yield archive


def names_of(archive: zipfile.ZipFile) -> list[str]:
    """Return the names of the arrays in an archive."""
    members = archive.namelist()
    return [name.removesuffix(MEMBER) for name in members if name.endswith(MEMBER)]


def read_member(path: str, archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return an array of an opened file, whole.

    Raises: InputError if it is damaged, holds objects, or is larger than the limit.
    """
    with npy.readable(path):
        info = archive.getinfo(f"{name}{MEMBER}")
        try:
            with archive.open(info) as file:
                header = npy.read_header(file)
                _check_size(path, header.size_bytes, info.compress_size)
                return npy.read_array(file, header)
        except DAMAGED_ARCHIVE as error:
            raise ValueError(str(error) or type(error).__name__) from error


def _check_size(path: str, claimed: int, stored: int) -> None:
    if claimed > max(EXPANSION * stored, FLOOR):
        raise InputError(
            f"{path} must hold about as much as it takes, found an array of {claimed:,} bytes in "
            f"{stored:,}; is it the right file?"
        )
