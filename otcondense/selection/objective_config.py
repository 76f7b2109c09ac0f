"""Parameters of the objective."""

from typing import Literal

from pydantic import Field, model_validator

from otcondense.selection.presets import PRESETS
from otcondense.selection.selector_config import SelectorConfig


class ObjectiveConfig(SelectorConfig):
    """The objective of the subset, and its units."""

    kappa: float = Field(default=1.05, ge=1, allow_inf_nan=False)
    """Capacity of each class image, as a multiple of its share of the class. At 1 the whole class
    must be covered; above 1 a share 1 - 1/kappa of it is left out."""
    alpha: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Weight of the statistics term, which like the cost is in squared feature units. None is 1 if
    features are given, else 0."""
    beta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Weight of the mean cross-entropy, in cost units per nat; with scale=relative in multiples of
    the median cost. None is 0.05 if the cross-entropy is given, else 0."""
    epsilon: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Entropic regularisation in cost units. None uses epsilon_relative."""
    epsilon_relative: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    """Entropic regularisation as a share of the median cost of the class."""
    scale: Literal["relative", "absolute"] = "relative"
    """Units of beta: relative to the median cost of the class, or the absolute units of the paper,
    which depend on the encoder (epsilon is then required)."""
    objective: Literal["regularized", "transport"] = "regularized"
    """Transport term: the regularised value, which bounds can certify, or the cost of the converged
    plan, as in the paper (exhaustive search)."""
    statistics: Literal["diagonal", "full"] = "diagonal"
    """Statistics term: standard deviations, as in the paper, or full covariances."""
    solver: Literal["newton", "sinkhorn", "pot"] = "newton"
    """Solver of the transport term: Newton on the semi-dual, with certified bounds, or Sinkhorn or
    POT, with exhaustive search."""
    preset: Literal["paper", "inception", "googlenet", "resnet34", "resnet50"] | None = None
    """Use the paper's scale, epsilon, kappa, alpha, beta and statistics for this encoder, unless
    they are given. paper is the published selection itself: those of Inception, with
    reference=authors."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        preset = PRESETS.get(str(values.get("preset")))
        if preset is None:
            return values
        given = {name: value for name, value in values.items() if value is not None}
        return {**values, **preset.parameters(), **given}

    @model_validator(mode="after")
    def _check(self) -> "ObjectiveConfig":
        if self.scale == "absolute" and self.epsilon is None:
            raise ValueError("epsilon must be given with scale=absolute, found None")
        return self


BALANCED_KAPPA = 1.0
"""Capacity at which the whole class must be covered; it suits every class above the budget."""


def admissible_kappa(kappa: float, size: int, budget: int) -> float:
    """Return the capacity with which `budget` of `size` images are chosen.

    With kappa * budget >= size, every chosen image could ship all its mass to itself, and the
    transport term would be 0 for every subset. Such a class is chosen with balanced transport.
    """
    return kappa if kappa * budget < size else BALANCED_KAPPA
