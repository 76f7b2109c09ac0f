"""Small classes to select from, and a plain implementation of the objective."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.selection.geometry_aware import GeometryAwareSelector


@dataclass(frozen=True)
class SmallClass:
    """Features, cross-entropy and weights (or None) of one class."""

    features: np.ndarray
    cross_entropy: np.ndarray
    weights: np.ndarray | None = None

    @property
    def size(self) -> int:
        return len(self.features)


def small_class(
    seed: int, size: int, *, width: int = 3, outliers: int = 0, weighted: bool = False
) -> SmallClass:
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(size, width)) + 4 * generator.integers(0, 2, size=(size, 1))
    features[:outliers] *= 5
    weights = generator.uniform(0.5, 1.5, size=size) if weighted else None
    return SmallClass(features, generator.exponential(size=size), weights)


@st.composite
def small_classes(draw: st.DrawFn, largest: int = 12) -> SmallClass:
    return small_class(
        draw(st.integers(0, 10_000)),
        draw(st.integers(6, largest)),
        width=draw(st.integers(1, 4)),
        outliers=draw(st.integers(0, 1)),
        weighted=draw(st.booleans()),
    )


def distances(features: np.ndarray) -> np.ndarray:
    return np.square(features[:, None] - features[None]).sum(axis=2)


def objective(data: SmallClass, subset: tuple[int, ...], selector: GeometryAwareSelector) -> float:
    """Return the value of a subset."""
    return objectives(data, [subset], selector)[0]


def objectives(
    data: SmallClass, subsets: list[tuple[int, ...]], selector: GeometryAwareSelector
) -> list[float]:
    """Return the values of subsets of one size, in the units that the selector reports.

    They are computed from the formulas of docs/method.md.
    """
    settings = selector.config
    used = selector.diagnostics_
    weights = np.ones(data.size) if data.weights is None else data.weights
    weights = weights / weights.sum()
    rows = np.array(subsets)

    cost = torch.from_numpy(distances(data.features)[rows])
    b = settings.kappa * torch.from_numpy(weights)
    output = SemiDualNewton()(PartialProblem(cost, used.epsilon, settings.kappa, b=b))
    assert bool(output.converged.all())

    confidence = used.beta * data.cross_entropy[rows].mean(axis=1)
    spread = [
        statistics(data.features, list(subset), weights, settings.statistics) for subset in subsets
    ]
    values = output.regularized_value.numpy() + confidence + used.alpha * np.array(spread)
    return values.tolist()


def statistics(features: np.ndarray, subset: list[int], weights: np.ndarray, kind: str) -> float:
    mean = weights @ features
    centred = features - mean
    covariance = (centred * weights[:, None]).T @ centred / (1 - np.square(weights).sum())
    own = features[subset]
    own_covariance = np.zeros_like(covariance)
    if len(subset) > 1:
        own_covariance = np.cov(own.T).reshape(covariance.shape)
    shift = float(np.square(own.mean(axis=0) - mean).sum())
    if kind == "diagonal":
        spread = np.sqrt(np.diag(own_covariance)) - np.sqrt(np.diag(covariance))
        return shift + float(np.square(spread).sum())
    root = sqrtm(covariance)
    values = np.linalg.eigvalsh(np.real(root @ own_covariance @ root))
    return shift + float(
        np.trace(covariance)
        + np.trace(own_covariance)
        - 2 * np.sqrt(np.clip(values, 0, None)).sum()
    )


def all_values(data: SmallClass, selector: GeometryAwareSelector) -> dict[tuple[int, ...], float]:
    """Return the value of every subset of the budget."""
    config = selector.config
    free = [image for image in range(data.size) if image not in config.exclude]
    all_subsets = combinations(free, config.budget)
    subsets = [subset for subset in all_subsets if set(config.include) <= set(subset)]
    return dict(zip(subsets, objectives(data, subsets, selector), strict=True))
