"""The seed of one class."""

import hashlib

SEED_BYTES = 4
"""Bytes of the hash in the seed of a class: scikit-learn takes no seed of 2**32 or more."""


def class_seed(seed: int, class_name: str) -> int:
    """Return the seed of one class; it depends on nothing but the arguments.

    With one seed for all, random methods would draw the same places in every class.
    """
    # The name of a folder that is not UTF-8 has surrogates.
    digest = hashlib.sha256(f"{seed}/{class_name}".encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:SEED_BYTES])
