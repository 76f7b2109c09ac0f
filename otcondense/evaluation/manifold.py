"""Fidelity and diversity by k-nearest-neighbour balls: precision, recall, density, coverage."""

import warnings
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair
from otcondense.evaluation.distances import (
    RELATIVE_SLACK,
    ball_blocks,
    knn_squared_radii,
    largest_squared_norm,
)


class PrecisionRecall(NamedTuple):
    """Shares in 0..1."""

    precision: float
    """Samples that lie in the ball of at least one held-out image."""
    recall: float
    """Held-out images that lie in the ball of at least one sample."""


class DensityCoverage(NamedTuple):
    """How samples fill the balls of the held-out images."""

    density: float
    """Mean number of balls that a sample lies in, divided by k; 1 is expected of the true
    distribution, more is possible."""
    coverage: float
    """Share in 0..1 of held-out images whose ball holds at least one sample."""


class BallFigures(NamedTuple):
    """All figures of the balls of two sets."""

    precision_recall: PrecisionRecall
    density_coverage: DensityCoverage


def ball_figures(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int = 3
) -> BallFigures:
    """Return precision, recall, density and coverage from one pass over the distances.

    Arguments and errors as for `precision_recall`.
    """
    one, two = _pair(samples, held_out, neighbours)
    largest = largest_squared_norm(two, one)
    slack = RELATIVE_SLACK * largest
    sample_radii = (knn_squared_radii(one, neighbours) + slack)[:, None]
    real_radii = (_held_out_radii(two, neighbours, slack) + slack)[None]

    hits = 0
    precise = []
    recalled = torch.zeros(len(two), dtype=torch.bool, device=two.device)
    covered = torch.zeros_like(recalled)
    blocks = ball_blocks(one, two, largest, sample_radii, real_radii)
    for real_in_sample, sample_in_real in blocks:
        hits += int(sample_in_real.sum())
        precise.append(sample_in_real.any(dim=1))
        covered |= sample_in_real.any(dim=0)
        recalled |= real_in_sample.any(dim=0)
    return BallFigures(
        PrecisionRecall(
            precision=float(torch.cat(precise).double().mean()),
            recall=float(recalled.double().mean()),
        ),
        DensityCoverage(hits / (neighbours * len(one)), float(covered.double().mean())),
    )


def precision_recall(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int = 3
) -> PrecisionRecall:
    """Return the improved precision and recall.

    Args:
        samples: [n, d] features, n > neighbours.
        held_out: [m, d] features of the same encoder, m > neighbours.
        neighbours: k; a ball reaches to the k-th nearest other image of its own set.

    Raises: InputError for invalid features.
    Source: Kynkäänniemi et al. 2019 (arXiv:1904.06991), equations 1-3.
    """
    return ball_figures(samples, held_out, neighbours).precision_recall


def density_coverage(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int = 3
) -> DensityCoverage:
    """Return density and coverage.

    Only the held-out images have balls, so outlying samples cannot inflate them. Arguments and
    errors as for `precision_recall`; the paper uses k = 5.

    Source: Naeem et al. 2020 (arXiv:2002.09797), equations 4 and 6.
    """
    one, two = _pair(samples, held_out, neighbours)
    largest = largest_squared_norm(two, one)
    slack = RELATIVE_SLACK * largest
    radii = _held_out_radii(two, neighbours, slack) + slack
    hits = 0
    covered = torch.zeros(len(two), dtype=torch.bool, device=two.device)
    for (inside,) in ball_blocks(one, two, largest, radii[None]):
        hits += int(inside.sum())
        covered |= inside.any(dim=0)
    return DensityCoverage(hits / (neighbours * len(one)), float(covered.double().mean()))


def _held_out_radii(
    held_out: Float[Tensor, "m d"], neighbours: int, slack: float
) -> Float[Tensor, " m"]:
    """Return the squared radii of the balls of the held-out images.

    Warns if balls have no radius, because the nearest images are copies: no sample can lie there.
    """
    radii = knn_squared_radii(held_out, neighbours)
    empty = int((radii <= slack).sum())
    if empty:
        warnings.warn(
            f"{empty} of {len(held_out)} held-out images are there at least {neighbours + 1} "
            "times: their balls are empty, which makes precision, density and coverage too low; "
            "leave the copies out",
            stacklevel=3,
        )
    return radii


def _pair(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]:
    return as_feature_pair(
        ("the samples", samples), ("the held-out images", held_out), neighbours + 1
    )
