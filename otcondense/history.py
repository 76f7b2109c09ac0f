"""One step of a selection, shared by the selectors and the selection files."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """The state after one image was added, or swapped for another."""

    step: int
    """Number of the step, from 0."""
    stage: str
    """Part of the algorithm: greedy, swap or rebuild."""
    added: int
    """Position of the image that came in."""
    removed: int | None
    """Position of the image that went out; None if nothing did."""
    objective: float
    """Objective after the step; nan if the selector has none."""
