"""Steps and shares of a selection, shared by the selectors and the selection files."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True)
class Step:
    """The state after one image was added, or swapped for another."""

    step: int
    """Number of the step, from 0."""
    stage: str
    """Part of the algorithm: greedy, swap, rebuild or polish."""
    added: int
    """Position of the image that came in."""
    removed: int | None
    """Position of the image that went out; None if nothing did."""
    objective: float
    """Objective after the step; nan if the selector has none."""


def represented_mass(
    indices: Int[np.ndarray, " budget"],
    assignment: Int[np.ndarray, " n"],
    received: Float[np.ndarray, " n"],
) -> Float[np.ndarray, " budget"]:
    """Return the share of its class that each chosen image represents.

    Args:
        indices: the chosen images.
        assignment: the chosen image that represents each image, -1 for none.
        received: share of the class's mass that each image receives.
    """
    shares = [float(received[assignment == index].sum()) for index in indices]
    return np.array(shares)
