"""Progress of a selector, reported while it works."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Moment:
    """The state of a selector at one step.

    Examples
    --------
    >>> from otcondense.selection import HerdingSelector
    >>> moments = []
    >>> selector = HerdingSelector(budget=2).watch(moments.append).fit([[0.0], [1.0], [5.0]])
    >>> [(moment.stage, moment.chosen) for moment in moments]
    [('greedy', 1), ('greedy', 2)]
    """

    stage: str
    """Current stage: cost matrix, greedy, swaps, lower bound, rebuilds or polish."""
    chosen: int = 0
    """Number of images in the subset so far."""
    swaps: int = 0
    """Number of swaps so far."""
    objective: float | None = None
    """Objective of the current subset; None if not available."""


Watcher = Callable[[Moment], None]
"""Called at every step, often several times a second. An exception that it raises ends the fit."""


def nobody(_moment: Moment) -> None:
    """Watch nothing."""
