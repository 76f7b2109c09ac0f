"""Whether a file still has the rows that were taken from it."""

from collections.abc import Iterator
from hashlib import blake2b
from itertools import chain

import numpy as np

from jobs.stream.parts import Part
from otcondense.config import Config
from otcondense.counts import counted
from otcondense.errors import InputError

DIGEST_BYTES = 16
"""Bytes of a hash: two files by chance have the same one with a probability of 2^-128."""


class FileRead(Config):
    """How far a file was read."""

    name: str
    rows: int = 0
    """Rows that were taken."""
    digest: str = ""
    """Hash of these rows."""
    is_done: bool = False
    """Whether the file was read to its end."""

    def after(self, part: Part) -> "FileRead":
        """Return how far the file was read after a further part."""
        return FileRead(name=self.name, rows=part.end, digest=digest_after(self.digest, part))


def digest_after(digest: str, part: Part) -> str:
    """Return the hash of some rows and those of a further part.

    Each row is hashed with the hash of all before it: the size of the parts does not matter.

    Args:
        digest: of the rows before; empty if there are none.
        part: features, ids and labels.
    """
    known = bytes.fromhex(digest)
    order = part.features.dtype.newbyteorder("<")
    features = np.ascontiguousarray(part.features, dtype=order)
    names = [each for each in (part.ids, part.labels) if each is not None]
    for row, values in enumerate(features):
        texts = repr([each[row] for each in names]).encode()
        known = blake2b(known + values.tobytes() + texts, digest_size=DIGEST_BYTES).digest()
    return known.hex()


def new_parts(path: str, before: FileRead, parts: Iterator[Part]) -> Iterator[Part]:
    """Return the parts after the rows that were taken.

    Args:
        path: the file, for messages.
        before: how far it was read.
        parts: of the file, from its first row on.

    Raises: InputError if the file does not begin with the rows that were taken, or was read to its
        end and has more now.
    """
    found = FileRead(name=before.name)
    rest: list[Part] = []
    while found.rows < before.rows:
        part = _next(path, before, parts)
        if part is None:
            raise _changed(path, before, f"{counted(found.rows, 'row')} in all")
        taken = before.rows - found.rows
        found = found.after(part.cut(slice(taken)))
        rest = [part.cut(slice(taken, None))] if len(part) > taken else []
    if found.digest != before.digest:
        raise _changed(path, before, "others in their place")
    more = chain(rest, parts)
    if before.is_done and before.rows and next(more, None) is not None:
        raise InputError(
            f"{path} must stay as it was read ({counted(before.rows, 'row')}), found more rows; "
            "give them in a file of their own"
        )
    return more


def _next(path: str, before: FileRead, parts: Iterator[Part]) -> Part | None:
    """Return the next part, if there is one.

    Raises: InputError if the file cannot be read any more.
    """
    try:
        return next(parts, None)
    except InputError as error:
        raise _changed(path, before, f"damage ({error})") from error


def _changed(path: str, before: FileRead, found: str) -> InputError:
    return InputError(
        f"{path} must begin with the {counted(before.rows, 'row')} that were taken from it before, "
        f"found {found}; give the same rows again, or begin again with another --state"
    )
