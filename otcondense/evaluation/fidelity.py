"""torch-fidelity's metrics on features that are there already."""

import warnings

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.frechet import FeatureStatistics
from otcondense.evaluation.settings import EvaluationConfig

SORTED_SHARE = 0.5
"""Below this share of the changes of class that a random order would have, samples count as sorted by class."""


def fidelity_metrics(
    samples: EncodedImages,
    held_out: EncodedImages,
    statistics: tuple[FeatureStatistics, FeatureStatistics],
    config: EvaluationConfig,
) -> dict[str, float]:
    """Return torch-fidelity's FID, KID and, where there are logits, Inception Score. KID subsets are never larger than the smaller set.

    Args:
        samples: of the generated images.
        held_out: of the real ones.
        statistics: mean and covariance of both, in this order.
        config: settings.
    """
    from torch_fidelity.metric_fid import fid_statistics_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric

    mu_sigma = [
        {"mu": each.mean.cpu().numpy(), "sigma": each.covariance.cpu().numpy()}
        for each in statistics
    ]
    kid = kid_features_to_metric(
        samples.features.double(),
        held_out.features.double(),
        kid_subsets=config.kid_subsets,
        kid_subset_size=min(config.kid_subset_size, len(samples.features), len(held_out.features)),
        rng_seed=config.seed,
        verbose=False,
    )
    return {
        "fid": fid_statistics_to_metric(*mu_sigma, verbose=False)["frechet_inception_distance"],
        "kid": kid["kernel_inception_distance_mean"],
        "kid_std": kid["kernel_inception_distance_std"],
        **({} if samples.logits is None else inception_score(samples.logits, config)),
    }


def inception_score(logits: Float[Tensor, "n c"], config: EvaluationConfig) -> dict[str, float]:
    """Return mean and standard deviation over the parts of the Inception Score; warn where samples in order are sorted by class.

    Source: Salimans et al. 2016 (arXiv:1606.03498), section 4.
    """
    from torch_fidelity.metric_isc import isc_features_to_metric

    if not config.shuffle:
        warn_of_sorted(logits.argmax(dim=1))
    score = isc_features_to_metric(
        logits, config.inception_score_splits, config.shuffle, config.seed
    )
    return {
        "inception_score": score["inception_score_mean"],
        "inception_score_std": score["inception_score_std"],
    }


def warn_of_sorted(classes: Int[Tensor, " n"]) -> None:
    """Warn where images in this order change their class far less often than in a random one: parts then lack classes."""
    shares = torch.bincount(classes).double() / len(classes)
    expected = float(1 - shares.square().sum()) * (len(classes) - 1)
    changes = int((classes[1:] != classes[:-1]).sum())
    if changes < SORTED_SHARE * expected:
        warnings.warn(
            f"the samples look sorted by class ({changes} changes of class from one to the next, about {expected:.0f} in random order); their "
            "Inception Score in parts is far too low: shuffle them first",
            stacklevel=3,
        )
