"""Metrics of single classes, which have few images."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor
from torch.linalg import svdvals

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair

LEAST_IMAGES = 2
"""Images that a covariance needs."""


def frechet_distance_of_few(samples: ArrayOrTensor, held_out: ArrayOrTensor) -> float:
    r"""Return the Fréchet distance of two small sets, without any matrix of the features' width.

    With centred features $X$ and $Y$, the trace of the covariances' root is the sum of the singular
    values of $X Y^\top$. The result equals `frechet_distance`; the cost depends on the number of
    images.

    Args:
        samples: [n, d] features, n >= 2.
        held_out: [m, d] features of the same encoder, m >= 2.

    Raises: InputError for invalid features.
    """
    pair = as_feature_pair(
        ("the samples", samples), ("the held-out images", held_out), LEAST_IMAGES
    )
    one = pair[0].double()
    two = pair[1].double()
    shift = (one.mean(dim=0) - two.mean(dim=0)).square().sum()

    one = _centred(one)
    two = _centred(two)
    distance = shift + one.square().sum() + two.square().sum() - 2 * svdvals(one @ two.T).sum()
    return max(0.0, float(distance))


def _centred(features: Float[Tensor, "n d"]) -> Float[Tensor, "n d"]:
    """Return features whose Gram matrix is their covariance."""
    root: float = (len(features) - 1) ** 0.5
    return (features - features.mean(dim=0)) / root


def class_frechet_distances(
    samples: Tensor,
    sample_classes: Int[np.ndarray, " n"],
    held_out: Tensor,
    held_out_classes: Int[np.ndarray, " m"],
) -> Mapping[int, float]:
    """Return the Fréchet distance of each class that has at least 2 images in both sets.

    Few images raise it: compare classes and methods only at equal numbers of images.

    Args:
        samples: [n, d] features.
        sample_classes: class of each.
        held_out: [m, d] features.
        held_out_classes: class of each.
    """
    found = {}
    for label in np.intersect1d(sample_classes, held_out_classes).tolist():
        own = samples[sample_classes == label]
        real = held_out[held_out_classes == label]
        if min(len(own), len(real)) >= LEAST_IMAGES:
            found[int(label)] = frechet_distance_of_few(own, real)
    return found
