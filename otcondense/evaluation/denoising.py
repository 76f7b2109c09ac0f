"""The metrics of the denoising loss: whether a model predicts images that it has not seen."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class DenoisingLosses:
    """Mean denoising errors of the averaged model of one checkpoint."""

    held_out: float
    """On held-out images."""
    training: float
    """On the chosen images, by the same estimator."""


def held_out_loss(sets: DenoisingLosses) -> float | None:
    """Return the loss on held-out images; None if the model has diverged."""
    return _finite(sets.held_out)


def training_loss(sets: DenoisingLosses) -> float | None:
    """Return the loss on the chosen images; None if the model has diverged."""
    return _finite(sets.training)


def loss_gap(sets: DenoisingLosses) -> float | None:
    """Return by how much the loss on held-out images is larger; None if the model has diverged."""
    return _finite(sets.held_out - sets.training)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
