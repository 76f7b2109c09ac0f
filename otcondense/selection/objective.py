"""From the settings of a selector to the absolute numbers of a subset problem."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from otcondense.errors import InputError
from otcondense.ot import SquaredEuclidean
from otcondense.selection.base import Candidates, SelectorConfig
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.presets import PRESETS

DEFAULT_ALPHA = 1.0
DEFAULT_BETA = 0.05


class ObjectiveConfig(SelectorConfig):
    """What the subset is to minimise, and in which units."""

    kappa: float = Field(default=1.05, ge=1, allow_inf_nan=False)
    """Capacity of each class image as a multiple of its share; at 1 the class must be covered whole, above 1 a share 1 - 1/kappa is left out."""
    alpha: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Weight of the statistics term, which is in squared feature units as the cost is; None is 1 where features are given, else 0."""
    beta: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    """Weight of the mean cross-entropy: cost units a nat, in multiples of the median cost at scale=relative; None is 0.05 where cross-entropy is given, else 0."""
    epsilon: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Entropic regularisation in cost units; None takes epsilon_relative."""
    epsilon_relative: float = Field(default=0.05, gt=0, allow_inf_nan=False)
    """Entropic regularisation as a share of the median cost of the class."""
    scale: Literal["relative", "absolute"] = "relative"
    """Whether beta is a multiple of the class's median cost, or in the units of the paper, which change with the encoder (then epsilon is needed)."""
    objective: Literal["regularized", "transport"] = "regularized"
    """Transport term: the regularised value, which bounds can certify, or the cost of the converged plan, as in the paper (exhaustive search)."""
    statistics: Literal["diagonal", "full"] = "diagonal"
    """Statistics term: standard deviations, as in the paper, or full covariances."""
    solver: Literal["newton", "sinkhorn", "pot"] = "newton"
    """Solver of the transport term: Newton on the semi-dual, with certified bounds; or Sinkhorn or POT, with exhaustive search."""
    preset: Literal["inception", "googlenet", "resnet34", "resnet50"] | None = None
    """Take scale, epsilon, kappa, alpha and beta from the paper's settings for this encoder, where they are not given."""
    include: tuple[int, ...] = ()
    """Indices of images that must be chosen."""
    exclude: tuple[int, ...] = ()
    """Indices of images that must not be chosen; they still count as part of the class."""

    @model_validator(mode="before")
    @classmethod
    def _fill_preset(cls, values: object) -> object:
        preset = values.get("preset") if isinstance(values, dict) else None
        if isinstance(values, dict) and isinstance(preset, str) and preset in PRESETS:
            given = {name: value for name, value in values.items() if value is not None}
            return {**values, **PRESETS[preset], **given}
        return values

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
                f"include must hold at most budget ({self.budget}) indices, found {len(self.include)}"
            )
        return self


@dataclass(frozen=True)
class Units:
    """The class's own cost, by which relative settings are multiplied."""

    cost: float
    largest: float


def tensor(array: Float[np.ndarray, "*shape"], device: str) -> Float[Tensor, "*shape"]:
    """Return a float64 tensor on the device."""
    return torch.as_tensor(array, dtype=torch.float64, device=device)


def check_indices(config: ObjectiveConfig, size: int) -> None:
    """Refuse `include` and `exclude` that name no image of a class of `size`, or leave none.

    Raises: InputError naming them.
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
    """Refuse what cannot be chosen from a class of `size` images.

    Raises: InputError for indices out of range, too few images left, or a capacity so large that the transport term is constantly 0.
    """
    check_indices(config, size)
    if size - len(config.exclude) < budget:
        raise InputError(
            f"exclude must leave at least budget ({budget}) of {size} images, found {len(config.exclude)} excluded"
        )
    if config.kappa * budget >= size:
        raise InputError(
            f"kappa * budget must be below the number of images ({size}), found {config.kappa} * {budget}: each chosen image could ship everything "
            "to itself and the transport term would be 0 for every subset; lower kappa or the budget"
        )


def median_cost(cost: Float[Tensor, "n n"]) -> float:
    """Return the lower median of all entries, the mean where that is 0 (more than half of the entries are between equal images)."""
    middle = float(cost.flatten().kthvalue((cost.numel() + 1) // 2).values)
    return middle if middle > 0 else float(cost.mean())


def build_problem(
    config: ObjectiveConfig, candidates: Candidates, budget: int, device: str, workers: int
) -> tuple[SubsetProblem, Units]:
    """Return the subset problem of one class in absolute units.

    Raises: InputError for a term whose data is missing, or a class whose images are all equal.
    """
    features = None if candidates.features is None else tensor(candidates.features, device)
    weights = None if candidates.weights is None else tensor(candidates.weights, device)
    cost = (
        SquaredEuclidean(workers)(features)
        if candidates.cost is None and features is not None
        else tensor(candidates.require("cost", "GeometryAwareSelector"), device)
    )
    alpha = _weight(config.alpha, DEFAULT_ALPHA, "alpha", "features", features)
    beta = _weight(config.beta, DEFAULT_BETA, "beta", "cross_entropy", candidates.cross_entropy)
    units = Units(median_cost(cost), float(cost.max()))
    if units.cost <= 0:
        raise InputError(
            "features must differ between images, found a class whose images are all at distance 0 from each other"
        )
    if features is not None:
        features = features - (features.mean(dim=0) if weights is None else weights @ features)
    problem = SubsetProblem(
        cost_matrix=cost,
        budget=budget,
        kappa=config.kappa,
        epsilon=config.epsilon
        if config.epsilon is not None
        else config.epsilon_relative * units.cost,
        alpha=alpha,
        beta=beta * units.cost if config.scale == "relative" else beta,
        features=features if alpha > 0 else None,
        statistics=config.statistics,
        cross_entropy=tensor(candidates.require("cross_entropy", "beta > 0"), device)
        if beta > 0
        else None,
        weights=weights,
        include=config.include,
        exclude=config.exclude,
        objective=config.objective,
        solver=config.solver,
        workers=workers,
    )
    return problem, units


def _weight(
    given: float | None, default: float, name: str, needs: str, data: object | None
) -> float:
    if data is None:
        if given is not None and given > 0:
            raise InputError(
                f"{needs} must be given when {name} > 0, found None with {name} {given}; give {needs} or set {name}=0"
            )
        return 0.0
    return default if given is None else given
