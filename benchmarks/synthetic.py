"""Seeded classes similar to encoder features: clusters, uneven scales, a few outliers."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class SyntheticClass:
    """Features [n, d] and cross-entropy [n] in nats."""

    features: np.ndarray
    cross_entropy: np.ndarray


def synthetic_class(
    images: int, width: int, *, seed: int, outliers: float = 0.05, clusters: int = 12
) -> SyntheticClass:
    """Draw a class; the share `outliers` of its images is 2.5 times as far from the centre."""
    generator = np.random.default_rng(seed)
    centres = 0.6 * generator.normal(size=(clusters, width))
    scale = generator.uniform(0.1, 1.6, size=width)
    features = (
        centres[generator.integers(0, clusters, size=images)]
        + generator.normal(size=(images, width))
    ) * scale
    features[: int(images * outliers)] *= 2.5
    return SyntheticClass(generator.permutation(features), generator.exponential(size=images))
