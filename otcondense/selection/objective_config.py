"""Parameters of the objective."""

from dataclasses import asdict
from typing import Literal

from pydantic import Field, model_validator

from otcondense.errors import InputError
from otcondense.selection.base import SelectorConfig
from otcondense.selection.presets import PRESETS


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
    preset: Literal["inception", "googlenet", "resnet34", "resnet50"] | None = None
    """Use the paper's scale, epsilon, kappa, alpha and beta for this encoder, unless they are
    given."""
    include: tuple[int, ...] = ()
    """Indices of images that must be chosen."""
    exclude: tuple[int, ...] = ()
    """Indices of images that must not be chosen; they still count as part of the class."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        preset = PRESETS.get(str(values.get("preset")))
        if preset is None:
            return values
        given = {name: value for name, value in values.items() if value is not None}
        return {**values, **asdict(preset), **given}

    @model_validator(mode="after")
    def _check(self) -> "ObjectiveConfig":
        if self.scale == "absolute" and self.epsilon is None:
            raise ValueError("epsilon must be given with scale=absolute, found None")
        for name in ("include", "exclude"):
            indices = getattr(self, name)
            if len(set(indices)) != len(indices) or any(index < 0 for index in indices):
                raise ValueError(f"{name} must hold distinct indices >= 0, found {indices}")
        both = sorted(set(self.include) & set(self.exclude))
        if both:
            raise ValueError(f"include and exclude must not overlap, found {both} in both")
        if len(self.include) > self.budget:
            raise ValueError(
                f"include must hold at most budget ({self.budget}) indices, found "
                f"{len(self.include)}"
            )
        return self


def check_indices(config: ObjectiveConfig, size: int) -> None:
    """Check `include` and `exclude` against a class of `size` images.

    Raises: InputError for an index outside the class, or if no image is left.
    """
    for name in ("include", "exclude"):
        outside = [index for index in getattr(config, name) if index >= size]
        if outside:
            raise InputError(
                f"{name} must hold indices below the number of images ({size}), found {outside}"
            )
    if len(config.exclude) == size:
        raise InputError(
            f"exclude must leave at least one of {size} images, found all of them excluded"
        )


def check_size(config: ObjectiveConfig, size: int, budget: int) -> None:
    """Check that `budget` images can be chosen from a class of `size` images.

    Raises: InputError for an index outside the class, or too few images.
    """
    check_indices(config, size)
    if size - len(config.exclude) < budget:
        raise InputError(
            f"exclude must leave at least budget ({budget}) of {size} images, found "
            f"{len(config.exclude)} excluded"
        )


BALANCED_KAPPA = 1.0
"""Capacity at which the whole class must be covered; it suits every class above the budget."""


def admissible_kappa(kappa: float, size: int, budget: int) -> float:
    """Return the capacity with which `budget` of `size` images are chosen.

    With kappa * budget >= size, every chosen image could ship all its mass to itself, and the
    transport term would be 0 for every subset. Such a class is chosen with balanced transport.
    """
    return kappa if kappa * budget < size else BALANCED_KAPPA
