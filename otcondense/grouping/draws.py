"""Draws of images by their ids: the same whatever the order of files and the number of workers."""

import hashlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int, UInt64

WORD_BYTES = 8
"""Bytes of the hash of an id."""


def id_hashes(image_ids: Sequence[str], salt: str) -> UInt64[np.ndarray, " n"]:
    """Return a whole number for each id, even over all of 64 bits.

    Args:
        image_ids: ids of images.
        salt: other texts give other numbers.
    """
    start = hashlib.blake2b(salt.encode() + b"/", digest_size=WORD_BYTES)
    hashes = bytearray()
    for image_id in image_ids:
        word = start.copy()
        word.update(image_id.encode(errors="surrogatepass"))
        hashes += word.digest()
    return np.frombuffer(bytes(hashes), dtype=">u8").astype(np.uint64)


def is_drawn(image_ids: Sequence[str], share: float, salt: str) -> Bool[np.ndarray, " n"]:
    """Tell which images are in a sample of about this share, by their ids alone.

    Args:
        image_ids: ids of images.
        share: expected share of images in the sample, > 0; from 1 on, all are.
        salt: other texts give other samples.
    """
    if share >= 1:
        return np.ones(len(image_ids), dtype=bool)
    return id_hashes(image_ids, salt) < np.uint64(int(share * 2.0**64))


def scattered(image_ids: Sequence[str], count: int, salt: str) -> Int[np.ndarray, " n"]:
    """Return a cell from 0 to `count` - 1 for each image, by its id alone."""
    return (id_hashes(image_ids, salt) % np.uint64(count)).astype(np.int64)
