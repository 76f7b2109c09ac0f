"""Made-up streams of features."""

import numpy as np
from jaxtyping import Float32

from otcondense.streaming import StreamSelector

SMALL = {"reservoir": 12, "check_rows": 10, "block": 7, "lower_bound": None}
"""Settings with which a few dozen images make several blocks."""


def points(count: int, width: int = 3, seed: int = 0) -> Float32[np.ndarray, "n d"]:
    """Return points of two groups."""
    generator = np.random.default_rng(seed)
    groups = generator.integers(2, size=(count, 1)) * 4
    values: np.ndarray = (generator.normal(size=(count, width)) + groups).astype(np.float32)
    return values


def fed(selector: StreamSelector, batch: int, count: int = 36) -> StreamSelector:
    """Return the selector after a stream that comes in batches of one size, with ids and labels."""
    features = points(count)
    for start in range(0, count, batch):
        stop = min(count, start + batch)
        ids = [f"image {row}" for row in range(start, stop)]
        labels = [("a", "b", "ü")[row % 7 % 3] for row in range(start, stop)]
        selector = selector.partial_fit(features[start:stop], ids=ids, labels=labels)
    return selector
