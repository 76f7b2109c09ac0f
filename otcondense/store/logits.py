"""Logits as they are stored: float16, whatever their size."""

import numpy as np
from jaxtyping import Float, Float16

LARGEST = float(np.finfo(np.float16).max)
"""Largest number that float16 holds (65,504)."""


def stored_logits(logits: Float[np.ndarray, "n c"]) -> Float16[np.ndarray, "n c"]:
    """Return finite logits in float16.

    A row with a logit beyond the range is shifted so that its largest is 0, and then cut off at the
    smallest number. Its probabilities stay the same: exp(-65504) is 0.
    """
    large = np.abs(logits).max(axis=1, initial=0) > LARGEST
    wide = logits.astype(np.float64)
    kept = np.where(large[:, None], wide - wide.max(axis=1, keepdims=True), wide)
    stored: Float16[np.ndarray, "n c"] = np.clip(kept, -LARGEST, LARGEST).astype(np.float16)
    return stored
