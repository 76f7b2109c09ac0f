"""Area under the margin: how a classifier's certainty of each image's label grows while it trains.

Source: Pleiss et al., "Identifying Mislabeled Data using the Area Under the Margin Ranking" (2020); Zheng et al.,
"Coverage-centric coreset selection for high pruning rates" (2023), whose margin is of probabilities. There the classifier
is a network trained on images; here it is a perceptron on their features, which every run has.
"""

import torch
from jaxtyping import Float, Float32, Int64
from pydantic import Field
from torch import Tensor, nn

from otcondense.config import Config


class MarginConfig(Config):
    """How the classifier is trained while its margins are recorded."""

    epochs: int = Field(default=30, ge=1)
    """Passes over all images; the margins are averaged over them."""
    hidden_width: int = Field(default=256, ge=0)
    """Width of the perceptron's hidden layer; 0 is a linear classifier."""
    batch_size: int = Field(default=256, ge=1)
    """Images per step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Learning rate of AdamW, falling to 0 with a cosine."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights and the order."""


def area_under_margin(
    features: Float[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    num_classes: int,
    config: MarginConfig,
) -> Float32[Tensor, " n"]:
    """Return for each image the mean over epochs of p(its class) - max p(another), in [-1, 1]; low is hard.

    Args:
        features: of all images; standardised here.
        labels: class of each.
        num_classes: number of classes, at least 2.
        config: the classifier.
    """
    x = (features.float() - features.float().mean(dim=0)) / features.float().std(dim=0).clamp(
        min=1e-6
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = _perceptron(x.shape[1], num_classes, config.hidden_width)
        order = torch.Generator().manual_seed(config.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    steps = -(-len(x) // config.batch_size)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, config.epochs * steps)
    total = torch.zeros(len(x))
    for _ in range(config.epochs):
        for rows in torch.split(torch.randperm(len(x), generator=order), config.batch_size):
            loss = nn.functional.cross_entropy(model(x[rows]), labels[rows])
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
    """Return p(its class) - max p(another) of each image."""
    probabilities = torch.cat([model(part).softmax(dim=1) for part in torch.split(x, batch_size)])
    own = probabilities.gather(1, labels[:, None]).squeeze(1)
    return own - probabilities.scatter(1, labels[:, None], -1.0).max(dim=1).values
