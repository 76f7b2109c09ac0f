"""Sums of paired differences under flips of their signs."""

import numpy as np
from jaxtyping import Float64

EXACT_PAIRS = 20
"""Up to this many pairs, every sign pattern is counted: half a million sums a comparison."""
NUM_DRAWS = 99_999
"""Sign patterns drawn for more pairs; with the observed one, p-values are multiples of 0.00001."""


def flipped_sums(differences: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, "p m"]:
    """Return the sums of each column over the sign patterns of the rows; the first is observed.

    The sign of the first row is kept: a pattern and its opposite give the same size. Up to
    `EXACT_PAIRS` rows give every pattern, more rows a fixed draw of patterns.

    Args:
        differences: a row for each pair (at least one), a column for each comparison; the patterns
            of all columns are the same.
    """
    assert len(differences) > 0
    if len(differences) > EXACT_PAIRS:
        return _drawn_sums(differences)
    sums = differences[:1]
    for row in differences[1:]:
        sums = np.concatenate([sums + row, sums - row])
    return sums


def _drawn_sums(differences: Float64[np.ndarray, "n m"]) -> Float64[np.ndarray, "p m"]:
    generator = np.random.default_rng(0)
    sums = np.zeros((1 + NUM_DRAWS, differences.shape[1]))
    signs = np.ones((len(sums), 1))
    for row in differences:
        signs[1:, 0] = generator.choice([-1.0, 1.0], NUM_DRAWS)
        sums += signs * row
    return sums


def smallest_p(num_pairs: int) -> float:
    """Return the smallest two-sided p-value that so many pairs can give; 1 without a pair."""
    return min(1.0, 2.0 ** (1 - num_pairs))
