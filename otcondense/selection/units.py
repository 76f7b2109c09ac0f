"""Units of one class: selectors compute with features near 1, whatever their scale.

The unit of length is a power of two, and the unit of cost its square. Dividing by them is exact, so
that the choice of the unit changes no digit of a result.
"""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from otcondense.errors import InputError
from otcondense.selection.candidates import Candidates

LARGEST_EXPONENT = 504
"""Largest exponent of the unit of length, up or down (5e151, 2e-152).

Costs ten thousand times larger or smaller than the unit of cost still have all their digits.
"""

LARGEST_FEATURE = 1e150
"""Largest feature in units of a given cost matrix; the square of a larger one may overflow."""


def in_class_units(candidates: Candidates) -> Candidates:
    """Return the class with features, costs and difficulties near 1, and its unit of cost.

    Raises: InputError for features or costs so large or small that float64 does not hold their
        squares, or features that are much larger than the root of a given cost.
    """
    length = _length_exponent(candidates)
    if abs(length) > LARGEST_EXPONENT:
        raise InputError(
            "features must differ by 1e-150 to 1e150 within a class, found differences of about "
            f"1e{round(length * math.log10(2))}; multiply all features by a constant"
        )
    features = candidates.features
    if features is not None:
        features = np.ldexp(features, -length)
        if np.abs(features).max() > LARGEST_FEATURE:
            raise InputError(
                "features must be at most 1e150 times the root of the largest cost, found "
                f"{np.abs(features).max():.0e} times; give both in the same units"
            )
    return replace(
        candidates,
        features=features,
        cost=_scaled(candidates.cost, -2 * length),
        difficulty=_scaled(candidates.difficulty, -_largest_exponent(candidates.difficulty)),
        cost_unit=math.ldexp(1.0, 2 * length),
    )


def _scaled(
    values: Float[np.ndarray, "*shape"] | None, exponent: int
) -> Float[np.ndarray, "*shape"] | None:
    return None if values is None else np.ldexp(values, exponent)


def _length_exponent(candidates: Candidates) -> int:
    """Return the exponent of the unit of length.

    It is that of the root of the largest cost, if a cost is given, or else of the largest
    difference of a feature from its mean.
    """
    if candidates.cost is not None and candidates.cost.any():
        return _largest_exponent(candidates.cost) // 2
    if candidates.features is None:
        return 0
    # Divided by the largest one, features do not overflow in sums.
    largest = _largest_exponent(candidates.features)
    features = np.ldexp(candidates.features, -largest)
    if (features == features[0]).all():
        return largest
    return largest + _largest_exponent(features - features.mean(axis=0))


def _largest_exponent(values: Float[np.ndarray, "*shape"] | None) -> int:
    """Return the exponent of the largest absolute value as a power of two; 0 without any."""
    if values is None or not values.any():
        return 0
    return math.frexp(float(np.abs(values).max()))[1] - 1
