"""What a selector tells whoever watches it while it works."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """Where a selector is."""

    stage: str
    """What it is doing: cost matrix, greedy, swaps, rebuilds, lower bound."""
    chosen: int = 0
    """Images in the subset so far."""
    swaps: int = 0
    """Swaps so far."""
    objective: float | None = None
    """Of the current subset; None where there is none yet, or none at all."""


Watcher = Callable[[Moment], None]
"""Is called with every step, several times a second or more; an exception that it raises ends the fit."""


def nobody(_moment: Moment) -> None:
    """Watch nothing."""
