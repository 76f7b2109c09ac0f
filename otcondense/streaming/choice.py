"""Choosing among the images in memory, with the sample as the class that is represented."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from otcondense.selection import GeometryAwareSelector
from otcondense.selection.gap import gap
from otcondense.streaming.rows import StreamRows


@dataclass(frozen=True, eq=False)
class StreamChoice:
    """The kept subset of one class, and what is known of it, in the units of the features."""

    seen: int
    """Images of the class that have arrived."""
    indices: Int64[np.ndarray, " k"]
    """Places of the kept images in the order of arrival, counted over all classes."""
    ids: tuple[str, ...]
    objective: float
    """Measured against the reservoir."""
    lower_bound: float
    """No subset of the images in memory (reservoir and kept ones) has a lower objective; nan if it
    was not asked for."""
    upper_bound: float
    """With the probability `confidence`, the objective against the whole stream is at most this;
    nan without a second sample."""
    swap_optimal: bool
    """Whether no single swap with an image in memory lowers the objective."""
    represented_mass: Float64[np.ndarray, " k"]
    """Share of the reservoir that each kept image represents."""

    @property
    def gap(self) -> float:
        """Share of the objective by which that of the best choice in memory may be lower.

        It is 1 - lower_bound / objective; nan without a lower bound.
        """
        return gap(self.objective, self.lower_bound)


def choose(
    selector: GeometryAwareSelector, pool: StreamRows, sample: StreamRows, start: StreamRows
) -> GeometryAwareSelector:
    """Choose a subset of the images in memory that represents a sample.

    Images outside the sample have the weight 0: they may be chosen, and need not be represented.

    Args:
        selector: with the budget and all settings.
        pool: the images in memory, more than the budget.
        sample: some of them, which stand for the stream.
        start: some of them, from which the swaps begin; with fewer than the budget the choice is
            made from scratch.
    """
    assert len(pool) > selector.budget
    weights = np.isin(pool.arrival, sample.arrival).astype(np.float64)
    if len(start) < selector.budget:
        return selector.fit(pool.features, weights=weights)
    return selector.fit_from(pool.features, pool.places_of(start), weights=weights)


def everything(seen: int, rows: StreamRows) -> StreamChoice:
    """Return the choice of all images: nothing was left out."""
    equal = np.full(len(rows), 1 / len(rows))
    return StreamChoice(
        seen=seen,
        indices=rows.arrival,
        ids=rows.ids,
        objective=0.0,
        lower_bound=0.0,
        upper_bound=0.0,
        swap_optimal=True,
        represented_mass=equal,
    )
