"""torch-fidelity's metrics on features that are already computed, on the device of the features."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, bincount

from otcondense.evaluation.distances import CHUNK_ELEMENTS
from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.frechet import FeatureStatistics, frechet_distance_of_statistics
from otcondense.evaluation.kernel import polynomial_kernel

Subset = tuple[Tensor, Tensor]
"""Rows [s] of a subset of the samples, and of one of the held-out images."""
SORTED_SHARE = 0.5
"""Samples count as sorted by class below this share of the class changes of a random order."""


class MeanSpread(NamedTuple):
    """A metric that is averaged over parts or subsets."""

    mean: float
    spread: float
    """Standard deviation over the parts."""


def fidelity_fid(samples: FeatureStatistics, held_out: FeatureStatistics) -> float:
    """Return torch-fidelity's FID.

    Its eigenvalue solver has no counterpart on a GPU. There this is our own Fréchet distance, which
    differs by less than 1e-5 + 1e-6 FID.
    """
    if samples.mean.device.type != "cpu":
        return frechet_distance_of_statistics(samples, held_out)
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    found = fid_statistics_to_metric(_arrays(samples), _arrays(held_out), verbose=False)
    return float(found["frechet_inception_distance"])


def _arrays(statistics: FeatureStatistics) -> dict[str, np.ndarray]:
    return {
        "mu": statistics.mean.numpy(),
        "sigma": statistics.covariance.numpy(),
    }


def fidelity_kid(
    samples: EncodedImages, held_out: EncodedImages, config: EvaluationConfig
) -> MeanSpread:
    """Return torch-fidelity's KID; its subsets are never larger than the smaller set.

    The subsets are those that torch-fidelity draws for the same seed. Where all pairs of images are
    fewer than the pairs of all subsets, the kernel of each pair is computed once.

    Source: Bińkowski et al. 2018 (arXiv:1801.01401), section 4.
    """
    size = min(config.kid_subset_size, len(samples), len(held_out))
    one, two = samples.features, held_out.features
    generator = np.random.RandomState(config.seed)
    drawn = []
    for _ in range(config.kid_subsets):
        rows = [generator.choice(len(each), size, replace=False) for each in (one, two)]
        drawn.append((torch.from_numpy(rows[0]), torch.from_numpy(rows[1])))

    if all_pairs(len(one), len(two)) <= len(drawn) * all_pairs(size, size):
        distances = subset_distances(one.double(), two.double(), drawn)
    else:
        each = [_subset_distance(_taken(one, first), _taken(two, last)) for first, last in drawn]
        distances = torch.stack(each)
    return MeanSpread(mean=float(distances.mean()), spread=float(distances.std(correction=0)))


def all_pairs(first: int, second: int) -> int:
    """Return the number of kernel values within and across two sets."""
    return first**2 + second**2 + first * second


def _taken(features: Float[Tensor, "n d"], rows: Int[Tensor, " s"]) -> Float[Tensor, "s d"]:
    """Return some rows in double precision."""
    return features[rows.to(features.device)].double()


def subset_distances(
    one: Float[Tensor, "n d"], two: Float[Tensor, "m d"], drawn: Sequence[Subset]
) -> Float[Tensor, " k"]:
    """Return the unbiased squared maximum mean discrepancy of each pair of subsets.

    Args:
        one: a set.
        two: another set.
        drawn: rows of a subset of either, all of one size.
    """
    count = len(drawn[0][0])
    members = [_members(one, [first for first, _ in drawn])]
    members.append(_members(two, [second for _, second in drawn]))
    within = torch.zeros(len(drawn), dtype=one.dtype, device=one.device)
    for rows, chosen in zip((one, two), members, strict=True):
        diagonal = (rows.square().mean(dim=1) + 1).pow(3)
        within += _kernel_sums(rows, rows, chosen, chosen) - diagonal @ chosen
    across = _kernel_sums(one, two, members[0], members[1])
    return within / (count * (count - 1)) - 2 * across / count**2


def _members(
    features: Float[Tensor, "n d"], drawn: Sequence[Int[Tensor, " s"]]
) -> Float[Tensor, "n k"]:
    """Return 1 for each row that is in a subset, else 0."""
    found = torch.zeros(len(features), len(drawn), dtype=features.dtype, device=features.device)
    return found.scatter_(0, torch.stack(list(drawn), dim=1).to(features.device), 1)


def _kernel_sums(
    rows: Float[Tensor, "n d"],
    others: Float[Tensor, "m d"],
    row_members: Float[Tensor, "n k"],
    other_members: Float[Tensor, "m k"],
) -> Float[Tensor, " k"]:
    """Return the sum of the kernel over the pairs of each subset."""
    total = torch.zeros(row_members.shape[1], dtype=rows.dtype, device=rows.device)
    height = max(1, CHUNK_ELEMENTS // len(others))
    parts = (torch.split(each, height) for each in (rows, row_members))
    for block, chosen in zip(*parts, strict=True):
        total += (polynomial_kernel(block, others) @ other_members * chosen).sum(dim=0)
    return total


def _subset_distance(one: Float[Tensor, "s d"], two: Float[Tensor, "s d"]) -> Float[Tensor, ""]:
    """Return the unbiased squared maximum mean discrepancy of two subsets of one size."""
    count = len(one)
    within = torch.zeros((), dtype=one.dtype, device=one.device)
    for rows in (one, two):
        kernel = polynomial_kernel(rows, rows)
        within += kernel.sum() - kernel.diagonal().sum()
    across = polynomial_kernel(one, two).mean()
    return within / (count * (count - 1)) - 2 * across


def fidelity_score(logits: Float[Tensor, "n c"], config: EvaluationConfig) -> MeanSpread:
    """Return torch-fidelity's Inception Score.

    Warns if the samples keep their order and look sorted by class.

    Source: Salimans et al. 2016 (arXiv:1606.03498), section 4.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric

    if not config.shuffle:
        warn_if_sorted(logits.argmax(dim=1))

    parts = config.inception_score_splits
    found = isc_features_to_metric(logits, parts, config.shuffle, config.seed)
    return MeanSpread(
        mean=float(found["inception_score_mean"]), spread=float(found["inception_score_std"])
    )


def warn_if_sorted(classes: Int[Tensor, " n"]) -> None:
    """Warn if the class changes far less often than in a random order: parts then lack classes."""
    shares = bincount(classes).double() / len(classes)
    expected = float(1 - shares.square().sum()) * (len(classes) - 1)
    changes = int((classes[1:] != classes[:-1]).sum())

    if changes < SORTED_SHARE * expected:
        warnings.warn(
            f"the samples look sorted by class ({changes} changes of class, about {expected:.0f} "
            "in a random order); this makes their Inception Score in parts far too low: shuffle "
            "them first",
            stacklevel=3,
        )
