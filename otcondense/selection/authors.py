"""The selection of the paper's published code, quirks included, for comparison with our engine.

Source: arXiv:2606.05883 and the code released with it. This version differs only in speed: the cost
matrix and the kernel are computed once, and the candidates of a step share their common kernel
rows.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.errors import InputError
from otcondense.history import Step
from otcondense.selection.authors_config import AuthorsSettings
from otcondense.selection.candidates import Candidates
from otcondense.selection.geometry_aware_config import GeometryAwareConfig
from otcondense.selection.objective import tensor

MEAN_FACTOR = 1.25
"""Weight of the mean against the standard deviation in the moment term, as in the authors' code."""

TOLERANCE = 1e-8
"""A swap must lower the objective by more than this, as in the authors' code."""


@dataclass(frozen=True)
class AuthorsResult:
    """Picks after each stage, in order of choice, and the objective of the final subset."""

    greedy_indices: list[int]
    indices: list[int]
    objective: float
    history: list[Step]
    gain: Float[np.ndarray, " budget"]
    """Increase of the objective without each image; nan for a single one."""


@dataclass(frozen=True)
class _Swap:
    """The cheapest swap of a pass."""

    cost: float
    position: int
    """Position in the subset of the image to remove."""
    newcomer: int


@dataclass(frozen=True)
class _Class:
    """The arrays of one class that all candidates share."""

    cost_matrix: Float[Tensor, "n n"]
    kernel: Float[Tensor, "n n"]
    features: Float[Tensor, "n d"]
    """Centred, in float64: in float32, running sums of squares would cancel."""
    std: Float[Tensor, " d"]
    cross_entropy: Float[Tensor, " n"]
    settings: AuthorsSettings


def _check(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"] | None,
    settings: AuthorsSettings,
) -> Float[Tensor, " n"]:
    """Check the arrays of a class; return its cross-entropy, 0 if it is not used."""
    if settings.budget > len(features):
        raise InputError(
            f"budget must be at most the number of images ({len(features)}), found "
            f"{settings.budget}"
        )
    if cross_entropy is None and settings.beta > 0:
        raise InputError(
            "cross_entropy must be given when beta > 0, found None with beta "
            f"{settings.beta}; give it or set beta=0"
        )
    entropy = features.new_zeros(len(features)) if cross_entropy is None else cross_entropy
    if not torch.isfinite(features).all() or not torch.isfinite(entropy).all():
        raise InputError("features and cross_entropy must be finite, found NaN or infinite values")
    return entropy


def _std(features: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    return features.std(dim=0) if len(features) > 1 else torch.zeros_like(features[0])


def _prepare(
    features: Float[Tensor, "n d"], cross_entropy: Float[Tensor, " n"], settings: AuthorsSettings
) -> _Class:
    centred = features.double() - features.double().mean(dim=0)
    norms = centred.square().sum(dim=1)
    cost = norms[:, None] + norms - 2 * centred @ centred.T
    cost = cost.clamp_min(0).fill_diagonal_(0).float()
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
    """Return ⟨C, π⟩ over the real rows of `common` and each candidate.

    The number of iterations is fixed; they start from ones, in float32.
    """
    settings = data.settings
    n = len(data.kernel)
    rows = len(common) + 1
    shared = data.kernel[common]
    own = data.kernel[candidates]

    v = torch.ones_like(own)
    u_shared = own.new_empty(len(own), rows - 1)
    u_own = own.new_empty(len(own), 1)
    for _ in range(settings.iterations):
        u_shared = (1 / rows) / (v @ shared.T)
        u_own = (1 / rows) / (v * own).sum(dim=1, keepdim=True)
        u_dummy = (settings.kappa - 1) / v.sum(dim=1, keepdim=True)
        received = torch.addcmul(u_shared @ shared, u_own, own).add_(u_dummy)
        v = received.reciprocal_().mul_(settings.kappa / n)

    spent = (u_shared * (v @ (shared * data.cost_matrix[common]).T)).sum(dim=1)
    return spent + u_own[:, 0] * (v * own * data.cost_matrix[candidates]).sum(dim=1)


def _moments(
    data: _Class, common: Int[Tensor, " k"], candidates: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """Return 1.25·‖Δmean‖² + Σ(Δstd)², unbiased; the deviation of a single image is 0."""
    count = len(common) + 1
    kept = data.features[common]
    own = data.features[candidates]

    total = kept.sum(dim=0) + own
    mean_part = MEAN_FACTOR * (total / count).square().sum(dim=1)
    if count == 1:
        return mean_part + data.std.square().sum()

    squares = kept.square().sum(dim=0) + own.square()
    scatter = torch.addcmul(squares, total, total, value=-1 / count)
    std = scatter.clamp_min_(0).div_(count - 1).sqrt_()
    return mean_part + (std - data.std).square_().sum(dim=1)


def _geometry(
    data: _Class, common: Int[Tensor, " k"], candidates: Int[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """Return the transport and moment terms of `common` with each candidate.

    A candidate whose iteration breaks down counts as infinite.
    """
    parts = []
    for batch in torch.split(candidates, data.settings.batch_size):
        value = _transport(data, common, batch).double()
        if data.settings.alpha:
            value = value + data.settings.alpha * _moments(data, common, batch)
        parts.append(value)
    return torch.cat(parts).float().nan_to_num_(nan=torch.inf)


def _others(n: int, chosen: list[int]) -> Int[Tensor, " b"]:
    free = torch.ones(n, dtype=torch.bool)
    free[chosen] = False
    return free.nonzero()[:, 0]


def _index(data: _Class, images: list[int]) -> Int[Tensor, " k"]:
    return torch.tensor(images, dtype=torch.long, device=data.kernel.device)


def _greedy(data: _Class) -> list[Step]:
    """Choose the budget greedily; return the steps."""
    chosen: list[int] = []
    history: list[Step] = []
    for step in range(data.settings.budget):
        candidates = _others(len(data.kernel), chosen)
        geometry = _geometry(data, _index(data, chosen), candidates)
        costs = geometry + data.settings.beta * data.cross_entropy[candidates].float()
        best = int(costs.argmin())
        value = float(costs[best])
        if value == float("inf"):
            raise InputError(
                f"epsilon {data.settings.epsilon} is too small for the features: no candidate of "
                f"step {step} has a finite cost"
            )
        chosen.append(int(candidates[best]))
        history.append(Step(step, "greedy", chosen[-1], None, value))
    return history


def _best_swap(data: _Class, chosen: list[int]) -> _Swap:
    """Return the cheapest swap, the first one on ties."""
    candidates = _others(len(data.kernel), chosen)
    best = _Swap(float("inf"), -1, -1)
    for position in range(len(chosen)):
        kept = _index(data, chosen[:position] + chosen[position + 1 :])
        entropy = data.cross_entropy[kept].sum() + data.cross_entropy[candidates]
        mean_entropy = (entropy / len(chosen)).float()
        costs = _geometry(data, kept, candidates) + data.settings.beta * mean_entropy
        first = int(costs.argmin())
        if float(costs[first]) < best.cost:
            best = _Swap(float(costs[first]), position, int(candidates[first]))
    return best


def _subset_cost(data: _Class, chosen: list[int]) -> float:
    indices = _index(data, chosen)
    geometry = _geometry(data, indices[:-1], indices[-1:])
    return float(geometry + data.settings.beta * data.cross_entropy[indices].mean().float())


def _gain(data: _Class, chosen: list[int], value: float) -> Float[np.ndarray, " k"]:
    """Return the increase of the cost without each image, nan without a rest."""
    if len(chosen) == 1:
        return np.full(1, np.nan)
    rests = [[*chosen[:place], *chosen[place + 1 :]] for place in range(len(chosen))]
    return np.array([_subset_cost(data, rest) for rest in rests]) - value


def authors_select(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"] | None,
    settings: AuthorsSettings,
) -> AuthorsResult:
    """Choose a subset as the authors' code does: greedy, then the best swap of each pass.

    Each transport problem gets twenty Sinkhorn iterations from ones in float32, with the last
    update on the columns. Greedy steps add β times the whole cross-entropy of the candidate, swaps
    β times the mean of the subset. Ties go to the lower index. If one candidate breaks down to NaN,
    the authors lose its whole batch of candidates; here only that candidate is lost.

    Args:
        features: [n, d] features of the class, in the units of `epsilon`.
        cross_entropy: [n] cross-entropy of the true class in nats; None only with β = 0.
        settings: parameters of the selection.

    Raises: InputError if the arrays or the budget do not fit, or no candidate has a finite cost.
    """
    data = _prepare(features, _check(features, cross_entropy, settings), settings)
    history = _greedy(data)
    greedy = [step.added for step in history]

    chosen = list(greedy)
    value = _subset_cost(data, greedy)
    passes = settings.max_swaps if settings.budget < len(features) else 0
    for step in range(passes):
        swap = _best_swap(data, chosen)
        if not swap.cost < value - TOLERANCE:
            break
        removed = chosen[swap.position]
        history.append(Step(step, "swap", swap.newcomer, removed, swap.cost))
        chosen[swap.position] = swap.newcomer
        value = swap.cost
    return AuthorsResult(greedy, chosen, value, history, _gain(data, chosen, value))


def select_as_authors(config: GeometryAwareConfig, candidates: Candidates) -> AuthorsResult:
    """Choose from one class with the parameters of the geometry-aware selector.

    Raises: InputError for parameters or arrays that the authors' code does not have.
    """
    if config.epsilon is None:
        raise InputError(
            "epsilon must be given with reference=authors, whose units are absolute, found None; "
            "give it or a preset"
        )
    forced = config.include or config.exclude
    if forced or candidates.weights is not None or candidates.cost is not None:
        raise InputError(
            "reference=authors knows no include, exclude, weights or cost, found at least one of "
            "them"
        )
    settings = AuthorsSettings(
        budget=config.budget,
        epsilon=config.epsilon,
        kappa=config.kappa,
        alpha=config.alpha or 0.0,
        beta=config.beta or 0.0,
    )
    features = tensor(candidates.require("features", "reference=authors")).float()
    entropy = None
    if candidates.cross_entropy is not None:
        entropy = tensor(candidates.cross_entropy).float()
    return authors_select(features, entropy, settings)


def authors_evaluate_sets(
    features: Float[Tensor, "n d"],
    cross_entropy: Float[Tensor, " n"] | None,
    sets: Int[Tensor, "b k"],
    settings: AuthorsSettings,
) -> Float[Tensor, " b"]:
    """Evaluate the swap-stage cost of whole subsets, plainly: the yardstick of the speed benchmark.

    As in the authors' code, the distances of every set are recomputed from the features by a
    batched `cdist` on the expanded class. Each batch of `batch_size` sets holds a [batch, n, d]
    array (2.7 GB for 256 sets of 1300 × 2048).

    Args:
        features: [n, d] features of the class.
        cross_entropy: [n] cross-entropy in nats, or None with β = 0.
        sets: [b, k] indices of the subsets.
        settings: all but `budget` and `max_swaps` are used.
    """
    entropy = _check(features, cross_entropy, settings).float()
    rows = features.float()
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
    n = len(features)
    count, size = sets.shape
    chosen = features[sets]

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
