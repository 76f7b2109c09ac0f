"""Copying: whether samples are nearer to training images than to unseen images."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair, as_features
from otcondense.evaluation.distances import squared_distance_blocks, tie_slack


@dataclass(frozen=True)
class Copying:
    """Result of `copying`; means over the draws."""

    copy_share: float
    """Share of samples that are nearer to a chosen image than to any held-out image: about 0.5
    without copying, 1 if all are copies."""
    copy_share_std: float
    """Standard deviation of the share over the draws; 0 if both sets have the same size."""
    distance_ratio: float
    """Median over the samples of (distance to the nearest chosen image) / (distance to the nearest
    held-out image); below 1 means copying."""
    set_size: int
    """Images in each of the two compared sets."""
    draws: int


def copying(
    samples: ArrayOrTensor,
    training: ArrayOrTensor,
    held_out: ArrayOrTensor,
    *,
    draws: int = 10,
    seed: int = 0,
) -> Copying:
    """Compare each sample's nearest chosen image with its nearest held-out image.

    A larger set is nearer by its size alone, so the larger set is reduced to the size of the
    smaller one, in `draws` seeded random ways.

    Args:
        samples: [n, d] features.
        training: [m, d] features of the chosen images.
        held_out: [l, d] features of images that were neither chosen nor trained on.
        draws: repetitions, >= 1.
        seed: seed of the draws.

    Raises: InputError for invalid features.
    """
    rows, chosen = as_feature_pair(("the samples", samples), ("the chosen images", training))
    rows, unseen = as_feature_pair(
        ("the samples", rows), ("the held-out images", as_features("the held-out images", held_out))
    )
    size = min(len(chosen), len(unseen))
    of_chosen = [_draw(len(chosen), size, seed, 2 * draw) for draw in range(draws)]
    of_unseen = [_draw(len(unseen), size, seed, 2 * draw + 1) for draw in range(draws)]
    near = _nearest_per_draw(rows, chosen, of_chosen)
    far = _nearest_per_draw(rows, unseen, of_unseen)

    slack = tie_slack(rows, chosen, unseen)
    nearer = (near < far - slack).double()
    ties = ((near - far).abs() <= slack).double()
    shares = (nearer + 0.5 * ties).mean(dim=0)
    ratios = ((near + slack) / (far + slack)).sqrt().quantile(0.5, dim=0)
    # Equal shares have exactly no spread; the formula would leave a rounding error.
    spread = 0.0 if shares.min() == shares.max() else float(shares.std(correction=0))
    return Copying(float(shares.mean()), spread, float(ratios.mean()), size, draws)


def _draw(total: int, size: int, seed: int, stream: int) -> Tensor:
    if total == size:
        return torch.from_numpy(np.arange(total))
    members = np.random.default_rng([seed, stream]).choice(total, size, replace=False)
    return torch.from_numpy(np.sort(members))


def _nearest_per_draw(
    rows: Float[Tensor, "n d"], reference: Float[Tensor, "m d"], members: list[Tensor]
) -> Float[Tensor, "n r"]:
    """Return the squared distance of each row to the nearest member of each draw."""
    members = [each.to(rows.device) for each in members]
    blocks = []
    for _, squared in squared_distance_blocks(rows, reference):
        nearest = [squared[:, each].min(dim=1).values for each in members]
        blocks.append(torch.stack(nearest, dim=1))
    return torch.cat(blocks)
