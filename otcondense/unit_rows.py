"""Rows of unit length: what makes squared distances the cosine cost."""

from collections.abc import Sequence
from typing import Final, Literal, get_args

import numpy as np
from jaxtyping import Float

from otcondense.errors import InputError

CostName = Literal["squared_distance", "cosine"]
"""How far apart two images are: the squared distance of their features, or of the features at unit
length."""
COST_NAMES: tuple[str, ...] = get_args(CostName)
COSINE: Final = "cosine"
"""Between rows x and y of length 1, |x - y|^2 = 2 (1 - cos(x, y)): the squared distance of unit
rows is twice the cosine distance. A factor of all costs changes no choice, so unit rows are the
cosine cost, for every method."""


def unit_rows(
    features: Float[np.ndarray, "n d"], names: Sequence[str] | None = None, first_row: int = 0
) -> Float[np.ndarray, "n d"]:
    """Return the rows divided by their lengths, in their own type; computed in float64.

    Args:
        features: finite numbers.
        names: of the rows, for a message; None counts them.
        first_row: number of the first of them, for a message.

    Raises: InputError for a row of zeros, which has no direction.
    """
    rows = np.asarray(features, dtype=np.float64)
    largest = np.abs(rows).max(axis=1, initial=0.0)
    if not largest.all():
        row = int((largest == 0).argmax())
        named = f"row {first_row + row}" if names is None else names[row]
        raise InputError(
            f"features of {named} must not all be 0 for normalize=l2 and the cosine cost: they "
            "have no direction; leave the image out, or take squared distances"
        )
    rows = rows / largest[:, None]  # so that no square overflows
    unit: np.ndarray = rows / np.sqrt(np.square(rows).sum(axis=1))[:, None]
    return unit.astype(features.dtype if features.dtype.kind == "f" else np.float64)
