"""The objectives that are compared: today's default, and changes of one part at a time."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from benchmarks.objective_study.covariance import PrincipalStatistics
from benchmarks.objective_study.polish import polish, with_statistics
from otcondense.selection import SELECTORS
from otcondense.selection.candidates import validate_candidates
from otcondense.selection.copies import find_copies
from otcondense.selection.engine.cuts import CutSearch
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import SearchLimits
from otcondense.selection.engine.start import k_medoids
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective import build_problem

Rows = Int[np.ndarray, " r"]
RANDOM = "random"
DEFAULT = "default"


@dataclass(frozen=True)
class ClassData:
    """The images of one class that are chosen from."""

    features: Float[np.ndarray, "n d"]
    entropy: Float[np.ndarray, " n"]
    names: list[str]
    """An id for each image."""


@dataclass(frozen=True)
class Variant:
    """One objective."""

    settings: Mapping[str, float] = field(default_factory=dict)
    """Settings of the selector other than its defaults."""
    change: Callable[[SubsetProblem], SubsetProblem] | None = None
    """What the settings cannot say."""
    merged: float = 0.0
    """Threshold of near copies that become one candidate; 0 merges none."""
    pooled: float = 0.0
    """Weight of the statistics of the images of all classes."""
    other_start: bool = False
    """Whether to swap from k-medoids instead of the greedy choice."""


def principal(features: Float[Tensor, "n d"]) -> Float[Tensor, "n r"]:
    """Return centred features in their principal directions, the largest first."""
    values, vectors = torch.linalg.eigh(features @ features.T)
    points: Float[Tensor, "n r"] = vectors * values.clamp(min=0).sqrt()
    return points.flip(1)[:, : min(features.shape)]


def rotated(problem: SubsetProblem) -> SubsetProblem:
    """Compare standard deviations in the principal directions of the class."""
    assert problem.features is not None
    return replace(problem, features=principal(problem.features))


def full(count: int) -> Callable[[SubsetProblem], SubsetProblem]:
    """Compare full covariances in the first principal directions, deviations in the others."""

    def change(problem: SubsetProblem) -> SubsetProblem:
        assert problem.features is not None
        points = principal(problem.features)
        return with_statistics(problem, PrincipalStatistics.of(points, count))

    return change


VARIANTS: dict[str, Variant] = {
    DEFAULT: Variant(),
    "other start": Variant(other_start=True),
    "epsilon 0.01": Variant({"epsilon_relative": 0.01}),
    "epsilon 0.02": Variant({"epsilon_relative": 0.02}),
    "epsilon 0.1": Variant({"epsilon_relative": 0.1}),
    "epsilon 0.2": Variant({"epsilon_relative": 0.2}),
    "alpha 0": Variant({"alpha": 0.0}),
    "alpha 2": Variant({"alpha": 2.0}),
    "alpha 4": Variant({"alpha": 4.0}),
    "principal, alpha 1": Variant(change=rotated),
    "principal, alpha 4": Variant({"alpha": 4.0}, change=rotated),
    "covariance in 8, alpha 1": Variant(change=full(8)),
    "covariance in 8, alpha 4": Variant({"alpha": 4.0}, change=full(8)),
    "covariance in 32, alpha 1": Variant(change=full(32)),
    "covariance in 32, alpha 4": Variant({"alpha": 4.0}, change=full(32)),
    "kappa 1": Variant({"kappa": 1.0}),
    "kappa 1.02": Variant({"kappa": 1.02}),
    "kappa 1.1": Variant({"kappa": 1.1}),
    "kappa 1.2": Variant({"kappa": 1.2}),
    "beta 0": Variant({"beta": 0.0}),
    "beta 0.02": Variant({"beta": 0.02}),
    "beta 0.2": Variant({"beta": 0.2}),
    "merged": Variant(merged=0.3),
    "pooled 1": Variant(pooled=1.0),
    "pooled 4": Variant(pooled=4.0),
}
"""Every variant by its name in the tables."""


def choose(variant: Variant, classes: Mapping[int, ClassData], budget: int) -> dict[int, Rows]:
    """Return the chosen images of each class, as positions in the class.

    The search is that of the selector without rebuilds: greedy, then swaps to the proof.
    """
    searches = {label: _search(variant, each, budget) for label, each in classes.items()}
    if not variant.pooled:
        return {label: found.chosen for label, found in searches.items()}
    done = polish(
        {label: found.problem for label, found in searches.items()},
        {label: torch.from_numpy(each.features) for label, each in classes.items()},
        {label: found.chosen.tolist() for label, found in searches.items()},
        variant.pooled,
        {label: found.limits for label, found in searches.items()},
    )
    assert done.proven
    return {label: np.array(subset) for label, subset in done.subsets.items()}


@dataclass(frozen=True)
class _Found:
    chosen: Rows
    problem: SubsetProblem
    limits: SearchLimits


def _search(variant: Variant, data: ClassData, budget: int) -> _Found:
    rows = np.arange(len(data.names))
    weights = None
    if variant.merged:
        groups = find_copies(data.features, data.names, [""] * len(data.names), variant.merged)
        rows, weights = np.unique(groups.leader, return_counts=True)
    candidates = validate_candidates(
        data.features[rows], cross_entropy=data.entropy[rows], weights=weights
    )
    config = GeometryAwareConfig(budget=budget, **variant.settings)
    problem, units = build_problem(config, candidates, 1)
    if variant.change is not None:
        problem = variant.change(problem)
    limits = SearchLimits(config.swap_tolerance * units.typical)
    search = CutSearch(problem, limits)
    if variant.other_start:
        search.place_at(k_medoids(problem))
    else:
        search.grow([])
    search.swap()
    assert search.proven
    return _Found(rows[search.subset], problem, limits)


def random_rows(classes: Mapping[int, ClassData], budget: int, seed: int) -> dict[int, Rows]:
    """Return a random subset of each class."""
    return {
        label: SELECTORS[RANDOM](budget=budget, seed=seed).fit(each.features).indices_
        for label, each in classes.items()
    }
