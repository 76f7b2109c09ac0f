"""Area under the margin: how certain a classifier becomes of each label while it trains.

Source: Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking" (2020);
Zheng et al., "Coverage-centric coreset selection for high pruning rates" (2023), whose margin is of
probabilities. Their classifier is a network trained on images. Ours is a perceptron on their
features, which every run has.
"""

import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor, nn

from otcondense.encoders.margins_config import MarginConfig

LEAST_DEVIATION = 1e-6
"""Smallest standard deviation that features are divided by, for constant features."""


def area_under_margin(
    features: Float[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    num_classes: int,
    config: MarginConfig,
) -> Float32[Tensor, " n"]:
    """Return for each image the mean over epochs of p(its class) - max p(another class).

    It is in [-1, 1]; low is hard.

    Args:
        features: of all images; they are standardised here.
        labels: class of each.
        num_classes: number of classes, at least 2.
        config: the classifier.
    """
    rows = features.float()
    x = (rows - rows.mean(dim=0)) / rows.std(dim=0).clamp(min=LEAST_DEVIATION)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = _perceptron(x.shape[1], num_classes, config.hidden_width)
        order = torch.Generator().manual_seed(config.seed)

    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    steps = -(-len(x) // config.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * steps)

    total = torch.zeros(len(x))
    for _ in range(config.epochs):
        for batch in torch.split(torch.randperm(len(x), generator=order), config.batch_size):
            loss = nn.functional.cross_entropy(model(x[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
        total += margins(model, x, labels, config.batch_size)
    return total / config.epochs


def _perceptron(width: int, num_classes: int, hidden: int) -> nn.Module:
    if hidden == 0:
        return nn.Linear(width, num_classes)
    return nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, num_classes))


@torch.no_grad()
def margins(
    model: nn.Module, x: Float[Tensor, "n d"], labels: Int64[Tensor, " n"], batch_size: int
) -> Float32[Tensor, " n"]:
    """Return p(its class) - max p(another class) of each image."""
    probabilities = torch.cat([model(part).softmax(dim=1) for part in torch.split(x, batch_size)])
    own = probabilities.gather(1, labels[:, None]).squeeze(1)
    return own - probabilities.scatter(1, labels[:, None], -1.0).max(dim=1).values
