"""Conversion of the parameters into a subset problem in units of the class."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.ot import SquaredEuclidean
from otcondense.ot.cost_rows import CostRows, median_of
from otcondense.selection.candidates import Candidates
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.large_class import has_cost_rows
from otcondense.selection.objective_config import ObjectiveConfig

DEFAULT_ALPHA = 1.0
"""Weight of the statistics term if `alpha` is None."""

DEFAULT_BETA = 0.05
"""Weight of the cross-entropy if `beta` is None."""

LEAST_EPSILON = 1e-15
"""Least epsilon as a share of the median cost: float64 does not tell costs closer than that apart,
and Newton's steps are lost in rounding."""


@dataclass(frozen=True)
class Units:
    """Costs within the class, the units of relative parameters."""

    cost: float
    """Median cost."""
    largest: float
    """Largest cost."""

    @property
    def typical(self) -> float:
        """Median cost; 1 if all images are equal, for which any positive number is right."""
        return self.cost or 1.0


def tensor(array: Float[np.ndarray, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return a float64 tensor."""
    return torch.as_tensor(array, dtype=torch.float64)


def build_problem(
    config: ObjectiveConfig, candidates: Candidates, workers: int
) -> tuple[SubsetProblem, Units]:
    """Return the subset problem of one class in units of the class.

    Args:
        config: the parameters; absolute ones are in the units of the caller.
        candidates: the class, in units of the class.
        workers: threads.

    Raises: InputError for a term whose data is missing, or an epsilon far outside the costs.
    """
    alpha = _weight(config.alpha, DEFAULT_ALPHA, "alpha", "features", candidates.features)
    beta = _weight(config.beta, DEFAULT_BETA, "beta", "cross_entropy", candidates.cross_entropy)

    cost = _cost_matrix(candidates, workers)
    units = Units(median_of(cost), float(cost.max()))
    epsilon = _epsilon(config, candidates.cost_unit, units)
    beta *= units.cost if config.scale == "relative" else 1 / candidates.cost_unit

    problem = SubsetProblem(
        cost_matrix=cost,
        budget=config.budget,
        kappa=config.kappa,
        epsilon=epsilon,
        alpha=alpha,
        beta=beta,
        features=_centred_features(candidates) if alpha > 0 else None,
        statistics=config.statistics,
        cross_entropy=_cross_entropy(candidates, beta),
        weights=_weights(candidates),
        include=config.include,
        exclude=config.exclude,
        objective=config.objective,
        solver=config.solver,
        workers=workers,
    )
    return problem, units


def _epsilon(config: ObjectiveConfig, cost_unit: float, units: Units) -> float:
    """Return epsilon in units of the class.

    If all images are equal, every subset has the same value, for any epsilon.

    Raises: InputError for an epsilon that is 0 or infinite in these units, or lost in rounding.
    """
    if config.epsilon is None:
        epsilon = config.epsilon_relative * units.typical
    else:
        epsilon = config.epsilon / cost_unit
    if 0 < epsilon < math.inf and epsilon >= LEAST_EPSILON * units.typical:
        return epsilon
    if config.epsilon is None:
        raise InputError(
            f"epsilon_relative must be at least {LEAST_EPSILON:g}, and finite in units of the "
            f"class, found {config.epsilon_relative}"
        )
    raise InputError(
        "epsilon must be of the order of the squared distances, found "
        f"{config.epsilon} with costs of about {cost_unit:.0e}; set epsilon_relative instead"
    )


def _cost_matrix(candidates: Candidates, workers: int) -> Float[Tensor, "n n"] | CostRows:
    if candidates.cost is None and candidates.features is not None:
        if has_cost_rows(candidates.size, cost_is_given=False):
            return CostRows(tensor(candidates.features), workers)
        return SquaredEuclidean(workers)(tensor(candidates.features))
    return tensor(candidates.require("cost", "GeometryAwareSelector"))


def _weights(candidates: Candidates) -> Float[Tensor, " n"] | None:
    return None if candidates.weights is None else tensor(candidates.weights)


def _centred_features(candidates: Candidates) -> Float[Tensor, "n d"]:
    """Return the features minus the (weighted) class mean, exactly 0 if all images are equal."""
    features = tensor(candidates.require("features", "alpha > 0"))
    if bool((features == features[0]).all()):
        return torch.zeros_like(features)
    weights = _weights(candidates)
    mean = features.mean(dim=0) if weights is None else weights @ features
    return features - mean


def _cross_entropy(candidates: Candidates, beta: float) -> Float[Tensor, " n"] | None:
    if beta == 0:
        return None
    return tensor(candidates.require("cross_entropy", "beta > 0"))


def _weight(
    given: float | None, default: float, name: str, needs: str, data: object | None
) -> float:
    """Return the weight of a term, 0 if its data is missing.

    Raises: InputError if a positive weight was given without the data.
    """
    if data is None:
        if given is not None and given > 0:
            raise InputError(
                f"{needs} must be given when {name} > 0, found None with {name} {given}; "
                f"give {needs} or set {name}=0"
            )
        return 0.0
    return default if given is None else given
