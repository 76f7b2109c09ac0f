"""torch-fidelity's metrics on features that are already computed."""

import warnings
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, bincount

from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.frechet import FeatureStatistics

SORTED_SHARE = 0.5
"""Samples count as sorted by class below this share of the class changes of a random order."""


class MeanSpread(NamedTuple):
    """A metric that is averaged over parts or subsets."""

    mean: float
    spread: float
    """Standard deviation over the parts."""


def fidelity_fid(samples: FeatureStatistics, held_out: FeatureStatistics) -> float:
    """Return torch-fidelity's FID."""
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    found = fid_statistics_to_metric(_arrays(samples), _arrays(held_out), verbose=False)
    return float(found["frechet_inception_distance"])


def _arrays(statistics: FeatureStatistics) -> dict[str, np.ndarray]:
    return {
        "mu": statistics.mean.cpu().numpy(),
        "sigma": statistics.covariance.cpu().numpy(),
    }


def fidelity_kid(
    samples: EncodedImages, held_out: EncodedImages, config: EvaluationConfig
) -> MeanSpread:
    """Return torch-fidelity's KID; its subsets are never larger than the smaller set."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    found = kid_features_to_metric(
        samples.features.double(),
        held_out.features.double(),
        kid_subsets=config.kid_subsets,
        kid_subset_size=min(config.kid_subset_size, len(samples), len(held_out)),
        rng_seed=config.seed,
        verbose=False,
    )
    return MeanSpread(
        mean=float(found["kernel_inception_distance_mean"]),
        spread=float(found["kernel_inception_distance_std"]),
    )


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
