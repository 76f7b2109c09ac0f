"""Holding out a part of a source: the same images each time, chosen by a hash of their ids."""

import hashlib
from dataclasses import replace

import numpy as np
import pyarrow as pa
from jaxtyping import Bool

from otcondense.datasets.listing import Listing
from otcondense.datasets.records import LEAST_CLASS, SourceConfig
from otcondense.errors import InputError

LEAST_HELD_OUT = 5
"""Images that a class gives at least, if it gives any: so few classes can be compared, too."""


def of_part(source: SourceConfig, listing: Listing) -> Listing:
    """Return the part of a listing that `source.part` asks for; all of it if that is not set.

    Of each class with at least `LEAST_CLASS` images, `held_out_share` of them are held out, at
    least `LEAST_HELD_OUT`: those whose ids have the smallest SHA-256.

    Raises: InputError if no class is large enough.
    """
    if source.part is None or source.held_out_share is None:
        return listing
    held_out = _held_out(listing, source.held_out_share)
    if source.part == "rest":
        return _filtered(listing, ~held_out)
    if not held_out.any():
        raise InputError(
            f"source.part=held_out of {source.path} needs a class of at least {LEAST_CLASS} "
            f"images, found at most {max(listing.sizes.values(), default=0)}; leave it out"
        )
    return replace(_filtered(listing, held_out), ignored=(), unusable=())


def _filtered(listing: Listing, is_kept: Bool[np.ndarray, " n"]) -> Listing:
    captions = listing.captions
    if captions is not None:
        captions = captions.filter(pa.array(is_kept))
    return replace(listing, table=listing.table.filter(is_kept), captions=captions)


def num_held_out(size: int, share: float) -> int:
    """Return how many images of a class are held out.

    Args:
        size: images of the class.
        share: 0 to 1.
    """
    return max(LEAST_HELD_OUT, round(share * size)) if size >= LEAST_CLASS else 0


def _held_out(listing: Listing, share: float) -> Bool[np.ndarray, " n"]:
    """Tell which images are held out."""
    held_out = np.zeros(len(listing), np.bool_)
    for name in listing.names:
        rows = listing.rows_of(name)
        count = num_held_out(len(rows), share)
        if count:
            digests = [hashlib.sha256(each.encode()).digest() for each in listing.ids_of(name)]
            order = sorted(range(len(rows)), key=digests.__getitem__)
            held_out[rows.start + np.array(order[:count])] = True
    return held_out
