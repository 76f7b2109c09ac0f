"""Parameters of a selection from a stream."""

from typing import Literal

from pydantic import Field, model_validator

from otcondense.config import Config
from otcondense.selection import GeometryAwareSelector, LowerBoundConfig
from otcondense.unit_rows import CostName

NO_BOUND: LowerBoundConfig | None = None
"""While images arrive, only swaps are made; the bound is computed when a result is asked for."""


class StreamSettings(Config):
    """What is kept of the stream, and the objective."""

    reservoir: int = Field(default=2000, ge=2)
    """Images of the sample that stands for the stream so far; more than kappa * budget."""
    check_rows: int = Field(default=2000, ge=0)
    """Images of a second, independent sample, for the upper bound; 0 keeps none."""
    block: int = Field(default=500, ge=1)
    """Images of a class that are collected before they may be swapped in. Blocks are counted from
    the first image, so that the size of the batches does not matter."""
    block_passes: int = Field(default=1, ge=1)
    """Passes of the swaps over the subset after each block."""
    small_class: Literal["error", "take_all"] = "error"
    """Class with fewer images than the budget: error refuses a result, take_all keeps all of it."""
    kappa: float = Field(default=1.05, ge=1, allow_inf_nan=False)
    """Capacity of each image, as a multiple of its share of the class."""
    alpha: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """Weight of the statistics term."""
    epsilon_relative: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    """Entropic regularisation as a share of the median cost."""
    cost: CostName = "squared_distance"
    """How far apart two images are: squared_distance, or cosine, which takes them at unit
    length."""
    swap_tolerance: float = Field(default=1e-8, gt=0, le=1e-2)
    """A swap must lower the objective by more than this share of the median cost."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Probability with which the upper bounds of all classes hold together."""
    lower_bound: LowerBoundConfig | None = LowerBoundConfig()
    """Work on the lower bound; null skips it."""
    threads: int | None = Field(default=None, ge=1)
    """Number of threads; null is torch's setting. The result does not depend on it."""


class StreamConfig(StreamSettings):
    """All parameters of a selection from a stream.

    Examples
    --------
    >>> from otcondense.streaming import StreamConfig
    >>> StreamConfig(budget=5).reservoir
    2000
    """

    budget: int = Field(default=10, ge=1)
    """Number of images to keep of each class."""
    seed: int = Field(default=0, ge=0)
    """Seed of the random samples of the stream."""

    @model_validator(mode="after")
    def _check_reservoir(self) -> "StreamConfig":
        if self.reservoir <= self.kappa * self.budget:
            raise ValueError(
                f"reservoir must be larger than kappa * budget ({self.kappa * self.budget:g}), "
                f"found {self.reservoir}; raise it or lower the budget"
            )
        return self

    def while_arriving(self) -> GeometryAwareSelector:
        """Return the selector that swaps images of a block in."""
        return self._selector(self.block_passes, NO_BOUND)

    def at_end(self) -> GeometryAwareSelector:
        """Return the selector that finishes the swaps and bounds the result."""
        return self._selector(None, self.lower_bound)

    def _selector(
        self, passes: int | None, lower_bound: LowerBoundConfig | None
    ) -> GeometryAwareSelector:
        return GeometryAwareSelector(
            self.budget,
            seed=self.seed,
            kappa=self.kappa,
            alpha=self.alpha,
            epsilon_relative=self.epsilon_relative,
            rebuilds=0,
            swap_tolerance=self.swap_tolerance,
            max_passes=passes,
            lower_bound=lower_bound,
            threads=self.threads,
        )
