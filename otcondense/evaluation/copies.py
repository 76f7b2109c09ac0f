"""Copying: whether samples are nearer to the images the model was trained on than to images it never saw."""

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
    """Share of samples nearer to a chosen image than to any held-out image: about 0.5 without copying, 1 if all are copies."""
    copy_share_std: float
    """Standard deviation of the share over the draws; 0 where both sets have the same size."""
    distance_ratio: float
    """Median over the samples of (distance to the nearest chosen) / (distance to the nearest held-out image); below 1 is copying."""
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

    The larger set is cut down to the smaller one's size, in `draws` seeded random ways: a larger set comes nearer by size alone.

    Args:
        samples: [n, d] features.
        training: [m, d] features of the chosen images.
        held_out: [l, d] features of images that were neither chosen nor trained on.
        draws: repetitions, >= 1.
        seed: seed of the draws.

    Raises: InputError for unfit features.
    """
    rows, chosen = as_feature_pair(("the samples", samples), ("the chosen images", training))
    rows, unseen = as_feature_pair(
        ("the samples", rows), ("the held-out images", as_features("the held-out images", held_out))
    )
    size = min(len(chosen), len(unseen))
    members = [
        (_draw(len(chosen), size, seed, 2 * draw), _draw(len(unseen), size, seed, 2 * draw + 1))
        for draw in range(draws)
    ]
    near = _nearest_per_draw(rows, chosen, [each[0] for each in members])
    far = _nearest_per_draw(rows, unseen, [each[1] for each in members])
    slack = tie_slack(rows, chosen, unseen)
    shares = ((near < far - slack).double() + 0.5 * ((near - far).abs() <= slack).double()).mean(
        dim=0
    )
    ratios = ((near + slack) / (far + slack)).sqrt().quantile(0.5, dim=0)
    # Equal shares have exactly no spread; the formula would leave a rounding error.
    spread = 0.0 if shares.min() == shares.max() else float(shares.std(correction=0))
    return Copying(float(shares.mean()), spread, float(ratios.mean()), size, draws)


def _draw(total: int, size: int, seed: int, stream: int) -> Tensor:
    if total == size:
        return torch.arange(total)
    return torch.from_numpy(
        np.sort(np.random.default_rng([seed, stream]).choice(total, size, replace=False))
    )


def _nearest_per_draw(
    rows: Float[Tensor, "n d"], reference: Float[Tensor, "m d"], members: list[Tensor]
) -> Float[Tensor, "n r"]:
    """Return the squared distance of each row to the nearest member of each draw."""
    blocks = []
    for _, squared in squared_distance_blocks(rows, reference):
        blocks.append(
            torch.stack(
                [squared[:, each.to(squared.device)].min(dim=1).values for each in members], dim=1
            )
        )
    return torch.cat(blocks)
