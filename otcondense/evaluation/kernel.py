"""Kernel distance: an unbiased alternative to the Fréchet distance for few images."""

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair
from otcondense.evaluation.distances import CHUNK_ELEMENTS


def kernel_distance(samples: ArrayOrTensor, held_out: ArrayOrTensor) -> float:
    r"""Return the unbiased squared maximum mean discrepancy with the kernel $(x \cdot y / d + 1)^3$ over the whole sets.

    Around 0 (also slightly below) for equal distributions.

    Args:
        samples: [n, d] features, n >= 2.
        held_out: [m, d] features of the same encoder, m >= 2.

    Raises: InputError for unfit features.
    Source: Bińkowski et al. 2018 (arXiv:1801.01401), section 4 and equation 4.
    """
    one, two = as_feature_pair(("the samples", samples), ("the held-out images", held_out), 2)
    one, two = one.double(), two.double()
    within = sum(
        (_kernel_sum(each, each) - _diagonal_sum(each)) / (len(each) * (len(each) - 1))
        for each in (one, two)
    )
    return float(within - 2 * _kernel_sum(one, two) / (len(one) * len(two)))


def gaussian_distance(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, bandwidth: float = 10.0
) -> float:
    r"""Return 1000 times the unbiased squared maximum mean discrepancy with the kernel $\exp(-|x - y|^2 / 2\sigma^2)$ of unit vectors.

    On CLIP features this is CMMD, up to its estimator: the published code divides by n^2 and is larger by about 2 (1 - k) / n.

    Args:
        samples: [n, d] features, n >= 2; scaled to length 1.
        held_out: [m, d] features of the same encoder, m >= 2.
        bandwidth: sigma, > 0.

    Raises: InputError for unfit features.
    Source: Jayasumana et al. 2024 (arXiv:2401.09603), section 4.
    """
    one, two = as_feature_pair(("the samples", samples), ("the held-out images", held_out), 2)
    one, two = (torch.nn.functional.normalize(each.double()) for each in (one, two))

    def kernel_sum(rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> float:
        blocks = torch.split(rows, max(1, CHUNK_ELEMENTS // len(others)))
        return float(
            torch.stack(
                [((block @ others.T - 1) / bandwidth**2).exp().sum() for block in blocks]
            ).sum()
        )

    within = sum(
        (kernel_sum(each, each) - len(each)) / (len(each) * (len(each) - 1)) for each in (one, two)
    )
    return 1000 * float(within - 2 * kernel_sum(one, two) / (len(one) * len(two)))


def _kernel_sum(rows: Float[Tensor, "n d"], others: Float[Tensor, "m d"]) -> float:
    blocks = torch.split(rows, max(1, CHUNK_ELEMENTS // len(others)))
    return float(
        torch.stack([(block @ others.T / rows.shape[1] + 1).pow(3).sum() for block in blocks]).sum()
    )


def _diagonal_sum(rows: Float[Tensor, "n d"]) -> float:
    return float((rows.square().sum(dim=1) / rows.shape[1] + 1).pow(3).sum())
