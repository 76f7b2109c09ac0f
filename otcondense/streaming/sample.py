"""Uniform samples of a stream by random keys, which can be merged.

The key of an image is a hash of the seed and its id, and the sample keeps the images with the
smallest keys: a uniform draw without replacement of all that arrived (bottom-k sampling; E. Cohen
and H. Kaplan, Summarizing data using bottom-k sketches, PODC 2007). The order of arrival has no
influence, and two samples with one seed merge into the sample of both streams.
"""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

import numpy as np
from jaxtyping import Int64, UInt64

from otcondense.streaming.rows import StreamRows, joined

KEY_BYTES = 8
"""Bytes of a key: two of a billion images have the same one with a probability of 3 %."""

Purpose = Literal["reservoir", "check"]
"""What a sample is for; samples for different purposes are independent."""


def keys_of(rows: StreamRows, seed: int, purpose: Purpose) -> UInt64[np.ndarray, " n"]:
    """Return the key of each image."""
    secret = f"{purpose} {seed}".encode()
    digests = [
        blake2b(each.encode(), digest_size=KEY_BYTES, key=secret).digest() for each in rows.ids
    ]
    return np.frombuffer(b"".join(digests), dtype="<u8").astype(np.uint64)


@dataclass(frozen=True)
class KeyedSample:
    """A uniform sample of what has arrived."""

    size: int
    """Most images that it keeps, >= 0."""
    seed: int
    purpose: Purpose
    rows: StreamRows
    """In the order of arrival."""

    def with_rows(self, new: StreamRows) -> "KeyedSample":
        """Return the sample of what has arrived and of further images."""
        return self._of(joined([self.rows, new]))

    def merged(self, other: "KeyedSample", later: int) -> "KeyedSample":
        """Return the sample of two streams; the other one arrived after `later` images."""
        return self._of(joined([self.rows, other.rows.later(later)]))

    def _of(self, rows: StreamRows) -> "KeyedSample":
        kept = self._smallest(rows)
        return KeyedSample(self.size, self.seed, self.purpose, rows.take(kept))

    def _smallest(self, rows: StreamRows) -> Int64[np.ndarray, " m"]:
        """Return the places of the smallest keys in the order of arrival; ties go to the first."""
        keys = keys_of(rows, self.seed, self.purpose)
        smallest = np.lexsort((rows.arrival, keys))[: self.size]
        order = np.argsort(rows.arrival[smallest], kind="stable")
        return smallest[order].astype(np.int64)
