"""torch-fidelity's metrics on features that are already computed, on the device of the features."""

import warnings
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, bincount

from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.frechet import FeatureStatistics, frechet_distance_of_statistics
from otcondense.evaluation.kernel import polynomial_kernel

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

    The subsets are those that torch-fidelity draws for the same seed.

    Source: Bińkowski et al. 2018 (arXiv:1801.01401), section 4.
    """
    size = min(config.kid_subset_size, len(samples), len(held_out))
    generator = np.random.RandomState(config.seed)
    distances = []
    for _ in range(config.kid_subsets):
        one = _drawn(samples.features, size, generator)
        two = _drawn(held_out.features, size, generator)
        distances.append(_subset_distance(one, two))
    found = torch.stack(distances)
    return MeanSpread(mean=float(found.mean()), spread=float(found.std(correction=0)))


def _drawn(
    features: Float[Tensor, "n d"], size: int, generator: np.random.RandomState
) -> Float[Tensor, "s d"]:
    """Return a random subset in double precision."""
    rows = torch.from_numpy(generator.choice(len(features), size, replace=False))
    return features[rows.to(features.device)].double()


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
