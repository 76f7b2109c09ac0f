"""Seeded data similar to encoder features: classes to select from, and sets to compare."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

RANK = 256
"""Directions that hold most of the variance of pooled features."""
ROWS_AT_ONCE = 10_000
"""Rows that are drawn at a time."""


@dataclass(frozen=True)
class SyntheticClass:
    """Features [n, d] and cross-entropy [n] in nats."""

    features: np.ndarray
    cross_entropy: np.ndarray


def synthetic_class(
    images: int, width: int, *, seed: int, outliers: float = 0.05, clusters: int = 12
) -> SyntheticClass:
    """Draw a class of clusters with uneven scales.

    The share `outliers` of its images is 2.5 times as far from the centre.
    """
    generator = np.random.default_rng(seed)
    centres = 0.6 * generator.normal(size=(clusters, width))
    scale = generator.uniform(0.1, 1.6, size=width)
    features = (
        centres[generator.integers(0, clusters, size=images)]
        + generator.normal(size=(images, width))
    ) * scale
    features[: int(images * outliers)] *= 2.5
    return SyntheticClass(generator.permutation(features), generator.exponential(size=images))


def pooled_features(count: int, width: int, seed: int) -> Float[Tensor, "n d"]:
    """Return features like those of Inception's pool_3; sets of different seeds differ slightly.

    They are non-negative, with most of the variance in a few hundred directions.
    """
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(RANK, width, generator=torch.Generator().manual_seed(0)) / RANK**0.5
    weights = torch.arange(1, RANK + 1) ** -0.5
    parts = []
    for start in range(0, count, ROWS_AT_ONCE):
        rows = torch.randn(min(ROWS_AT_ONCE, count - start), RANK, generator=generator)
        parts.append((rows * weights) @ directions)
    noise = 0.05 * torch.randn(1, width, generator=generator)
    return torch.cat(parts).add_(noise).clamp_(min=-0.1).add_(0.1)
