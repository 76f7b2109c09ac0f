"""What the published code of geometry-aware condensation computes, quirks included, for comparison with our engine.

Source: arXiv:2606.05883 and the code released with it, from which this differs in speed alone: the cost matrix and the
kernel are computed once, and all candidates of a step share the kernel rows that they have in common.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from pydantic import Field
from torch import Tensor

from otcondense.config import Config
from otcondense.errors import InputError

MEAN_FACTOR = 1.25
TOLERANCE = 1e-8


class AuthorsSettings(Config):
    """Settings of the authors' selection, all in absolute units; the defaults are theirs for Inception features."""

    budget: int = Field(default=10, ge=1)
    """Number of images to choose from the class."""
    epsilon: float = Field(default=12.0, gt=0)
    """Entropic regularisation, in units of the squared distance."""
    kappa: float = Field(default=1.05, ge=1)
    """Capacity of each class image, as a multiple of its uniform share."""
    alpha: float = Field(default=6.0, ge=0)
    """Weight of the moment term."""
    beta: float = Field(default=1200.0, ge=0)
    """Weight of the cross-entropy."""
    iterations: int = Field(default=20, ge=1)
    """Sinkhorn iterations for each candidate, whether converged or not."""
    max_swaps: int = Field(default=30, ge=0)
    """Passes of the swap stage, each of which makes at most one swap."""
    batch_size: int = Field(default=256, ge=1)
    """Candidate sets evaluated at a time; no result depends on it."""


@dataclass(frozen=True)
class AuthorsResult:
    """Picks after each stage, in order of choice, and the authors' objective of the final subset."""

    greedy_indices: list[int]
    indices: list[int]
    objective: float
    history: list[dict[str, Any]]


@dataclass(frozen=True)
class _Class:
    """The arrays of one class that every candidate shares."""

    cost_matrix: Float[Tensor, "n n"]
    kernel: Float[Tensor, "n n"]
    features: Float[Tensor, "n d"]
    """Centred, in float64: running sums of squares would cancel in float32."""
    std: Float[Tensor, " d"]
    cross_entropy: Float[Tensor, " n"]
    settings: AuthorsSettings


def _check(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"] | None,
    settings: AuthorsSettings,
) -> Float[Tensor, " n"]:
    if settings.budget > len(features):
        raise InputError(
            f"budget must be at most the number of images ({len(features)}), found {settings.budget}"
        )
    if cross_entropy is None and settings.beta > 0:
        raise InputError(
            f"cross_entropy must be given when beta > 0, found None with beta {settings.beta}; give it or set beta=0"
        )
    if not torch.isfinite(features).all() or (
        cross_entropy is not None and not torch.isfinite(cross_entropy).all()
    ):
        raise InputError("features and cross_entropy must be finite, found NaN or infinite values")
    return features.new_zeros(len(features)) if cross_entropy is None else cross_entropy


def _std(features: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    return features.std(dim=0) if len(features) > 1 else torch.zeros_like(features[0])


def _prepare(
    features: Float[Tensor, "n d"], cross_entropy: Float[Tensor, " n"], settings: AuthorsSettings
) -> _Class:
    centred = features.double() - features.double().mean(dim=0)
    norms = centred.square().sum(dim=1)
    cost = (norms[:, None] + norms - 2 * centred @ centred.T).clamp_min(0).fill_diagonal_(0).float()
    return _Class(
        cost,
        torch.exp(-cost / settings.epsilon),
        centred,
        _std(centred),
        cross_entropy.double(),
        settings,
    )


def _transport(
    data: _Class, common: Int[Tensor, " k"], candidates: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """⟨C, π⟩ over the real rows of `common` and each candidate, after a fixed number of iterations from ones in float32."""
    settings, n, rows = data.settings, len(data.kernel), len(common) + 1
    shared, own = data.kernel[common], data.kernel[candidates]
    v = torch.ones_like(own)
    u_shared, u_own = own.new_empty(len(own), rows - 1), own.new_empty(len(own), 1)
    for _ in range(settings.iterations):
        u_shared = (1 / rows) / (v @ shared.T)
        u_own = (1 / rows) / (v * own).sum(dim=1, keepdim=True)
        u_dummy = (settings.kappa - 1) / v.sum(dim=1, keepdim=True)
        v = (
            torch.addcmul(u_shared @ shared, u_own, own)
            .add_(u_dummy)
            .reciprocal_()
            .mul_(settings.kappa / n)
        )
    spent = (u_shared * (v @ (shared * data.cost_matrix[common]).T)).sum(dim=1)
    return spent + u_own[:, 0] * (v * own * data.cost_matrix[candidates]).sum(dim=1)


def _moments(
    data: _Class, common: Int[Tensor, " k"], candidates: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """1.25·‖Δmean‖² + Σ(Δstd)², unbiased, with zero deviation for a single image."""
    count, kept, own = len(common) + 1, data.features[common], data.features[candidates]
    total = kept.sum(dim=0) + own
    mean_part = MEAN_FACTOR * (total / count).square().sum(dim=1)
    if count == 1:
        return mean_part + data.std.square().sum()
    scatter = torch.addcmul(kept.square().sum(dim=0) + own.square(), total, total, value=-1 / count)
    std = scatter.clamp_min_(0).div_(count - 1).sqrt_()
    return mean_part + (std - data.std).square_().sum(dim=1)


def _geometry(
    data: _Class, common: Int[Tensor, " k"], candidates: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """Transport and moments of `common` with each candidate; a candidate whose iteration breaks down counts as infinite."""
    parts = []
    for batch in torch.split(candidates, data.settings.batch_size):
        value = _transport(data, common, batch).double()
        parts.append(
            value + data.settings.alpha * _moments(data, common, batch)
            if data.settings.alpha
            else value
        )
    return torch.cat(parts).float().nan_to_num_(nan=torch.inf)


def _others(n: int, chosen: list[int], device: torch.device) -> Int[Tensor, " b"]:
    free = torch.ones(n, dtype=torch.bool)
    free[chosen] = False
    return free.nonzero()[:, 0].to(device)


def _greedy(data: _Class) -> tuple[list[int], float, list[dict[str, Any]]]:
    chosen: list[int] = []
    history: list[dict[str, Any]] = []
    value = float("inf")
    for step in range(data.settings.budget):
        candidates = _others(len(data.kernel), chosen, data.kernel.device)
        common = torch.tensor(chosen, dtype=torch.long, device=data.kernel.device)
        costs = (
            _geometry(data, common, candidates)
            + data.settings.beta * data.cross_entropy[candidates].float()
        )
        best = int(costs.argmin())
        value = float(costs[best])
        if value == float("inf"):
            raise InputError(
                f"epsilon {data.settings.epsilon} is too small for the features: no candidate of step {step} has a finite cost"
            )
        chosen.append(int(candidates[best]))
        history.append(
            {
                "step": step,
                "stage": "greedy",
                "added": chosen[-1],
                "removed": None,
                "objective": value,
            }
        )
    return chosen, value, history


def _best_swap(data: _Class, chosen: list[int]) -> tuple[float, int, int]:
    """Return the cheapest swap as (cost, position, newcomer), the first one on ties."""
    candidates, best = _others(len(data.kernel), chosen, data.kernel.device), (float("inf"), -1, -1)
    for position in range(len(chosen)):
        kept = torch.tensor(
            chosen[:position] + chosen[position + 1 :], dtype=torch.long, device=data.kernel.device
        )
        mean_ce = (data.cross_entropy[kept].sum() + data.cross_entropy[candidates]) / len(chosen)
        costs = _geometry(data, kept, candidates) + data.settings.beta * mean_ce.float()
        first = int(costs.argmin())
        if float(costs[first]) < best[0]:
            best = (float(costs[first]), position, int(candidates[first]))
    return best


def _subset_cost(data: _Class, chosen: list[int]) -> float:
    indices = torch.tensor(chosen, dtype=torch.long, device=data.kernel.device)
    value = (
        _geometry(data, indices[:-1], indices[-1:])
        + data.settings.beta * data.cross_entropy[indices].mean().float()
    )
    return float(value)


def authors_select(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"] | None,
    settings: AuthorsSettings,
) -> AuthorsResult:
    """Choose a subset as the authors' code does: greedy, then at most `max_swaps` best swaps, one a pass.

    Twenty Sinkhorn iterations from ones in float32 with the last update on the columns; greedy steps add β times the
    candidate's cross-entropy in full, swaps β times the mean of the subset; ties go to the lower index. The authors lose
    a whole batch of candidates when one of them breaks down to NaN, here only that candidate is lost.

    Args:
        features: [n, d] features of the class, in the units that `epsilon` belongs to.
        cross_entropy: [n] cross-entropy of the true class in nats; None only with β = 0.
        settings: what to choose and how.

    Raises: InputError where the arrays or the budget do not fit, or no candidate has a finite cost.
    """
    data = _prepare(features, _check(features, cross_entropy, settings), settings)
    greedy, _, history = _greedy(data)
    chosen, value = list(greedy), _subset_cost(data, greedy)
    for step in range(settings.max_swaps if settings.budget < len(features) else 0):
        cost, position, newcomer = _best_swap(data, chosen)
        if not cost < value - TOLERANCE:
            break
        history.append(
            {
                "step": step,
                "stage": "swap",
                "added": newcomer,
                "removed": chosen[position],
                "objective": cost,
            }
        )
        chosen[position], value = newcomer, cost
    return AuthorsResult(greedy, chosen, value, history)


def authors_evaluate_sets(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"] | None,
    sets: Int[Tensor, "b k"],
    settings: AuthorsSettings,
) -> Float[Tensor, " b"]:
    """Swap-stage cost of whole subsets, evaluated plainly: the yardstick of the speed benchmark.

    As in the authors' code, the distances of every set are rebuilt from the features by a batched `cdist` on the expanded
    class, and each batch of `batch_size` sets holds a [batch, n, d] array (2.7 GB for 256 sets of 1300 × 2048).

    Args:
        features: [n, d] features of the class.
        cross_entropy: [n] cross-entropy in nats, or None with β = 0.
        sets: [b, k] indices of the subsets.
        settings: all but `budget` and `max_swaps` are used.
    """
    entropy, rows = _check(features, cross_entropy, settings).float(), features.float()
    costs = [
        _evaluate_batch(rows, entropy, batch, settings)
        for batch in torch.split(sets, settings.batch_size)
    ]
    return torch.cat(costs)


def _evaluate_batch(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"],
    sets: Int[Tensor, "b k"],
    settings: AuthorsSettings,
) -> Float[Tensor, " b"]:
    n, (count, size), chosen = len(features), sets.shape, features[sets]
    distances = torch.cdist(chosen, features.expand(count, -1, -1)).square()
    augmented = torch.cat([distances, distances.new_zeros(count, 1, n)], dim=1)
    kernel = torch.exp(-augmented / settings.epsilon)
    mass = distances.new_full((size + 1,), 1 / size)
    mass[-1] = settings.kappa - 1
    v = distances.new_ones(count, n)
    u = mass.expand(count, -1)
    for _ in range(settings.iterations):
        u = mass / torch.bmm(kernel, v[:, :, None])[:, :, 0]
        v = (settings.kappa / n) / torch.bmm(u[:, None], kernel)[:, 0]
    plan = u[:, :, None] * kernel * v[:, None]
    transport = (plan[:, :-1] * distances).sum(dim=(1, 2))
    std = chosen.std(dim=1) if size > 1 else torch.zeros_like(chosen[:, 0])
    mean_part = (chosen.mean(dim=1) - features.mean(dim=0)).square().sum(dim=1)
    moments = MEAN_FACTOR * mean_part + (std - _std(features)).square().sum(dim=1)
    return transport + settings.alpha * moments + settings.beta * cross_entropy[sets].mean(dim=1)
