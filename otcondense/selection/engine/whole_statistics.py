"""The statistics of a whole class, as a function of the chosen images of one of its groups."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.selection.engine.statistics import (
    DiagonalPlace,
    DiagonalStatistics,
    PlaceStatistics,
    Statistics,
)


@dataclass(frozen=True)
class Moments:
    """Number, mean and spread of some images."""

    count: int
    mean: Float[np.ndarray, " d"]
    squares: Float[np.ndarray, " d"]
    """Sum of the squared differences from the mean."""

    @classmethod
    def of(cls, features: Float[np.ndarray, "n d"]) -> "Moments":
        """Measure the images of a group."""
        mean = features.mean(axis=0)
        return cls(len(features), mean, np.square(features - mean).sum(axis=0))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of both together (Chan, Golub, LeVeque, 1983)."""
        count = self.count + other.count
        step = other.mean - self.mean
        mean = self.mean + step * (other.count / count)
        between = np.square(step) * (self.count * other.count / count)
        return Moments(count, mean, self.squares + other.squares + between)

    @property
    def deviations(self) -> Float[np.ndarray, " d"]:
        """Standard deviations from unbiased variances; 0 for a single image."""
        deviations: Float[np.ndarray, " d"] = np.sqrt(self.squares / max(self.count - 1, 1))
        return deviations

    def distance(self, other: "Moments") -> float:
        """Return the squared distance of means and standard deviations from those of others."""
        means = np.square(self.mean - other.mean).sum()
        return float(means + np.square(self.deviations - other.deviations).sum())


@dataclass(frozen=True)
class Others:
    """The chosen images of all other groups."""

    count: int
    total: Float[Tensor, " d"]
    """Sum of their features, relative to the mean of the whole class."""
    squares: Float[Tensor, " d"]
    """Sum of the squares of these."""

    @classmethod
    def of(cls, features: Float[Tensor, "k d"]) -> "Others":
        """Measure them, from their features relative to the mean of the whole class."""
        return cls(len(features), features.sum(dim=0), features.square().sum(dim=0))


@dataclass(frozen=True)
class WholeStatistics(Statistics):
    """The statistics of the whole class, for the chosen images of one group."""

    own: DiagonalStatistics
    """Features of the group relative to the mean of the whole, and the deviations of the whole."""
    others: Others

    @classmethod
    def around(
        cls,
        own: Float[Tensor, "g d"],
        deviations: Float[Tensor, " d"],
        others: Others,
        workers: int = 1,
    ) -> "WholeStatistics":
        """Return the statistics for the images of one group, relative to the mean of the whole."""
        squares = own.square()
        measured = DiagonalStatistics(own, squares, squares.sum(dim=1), deviations, workers)
        return cls(measured, others)

    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        total = self.own.features[rest].sum(dim=0) + self.others.total
        squares = self.own.squares[rest].sum(dim=0) + self.others.squares
        return DiagonalPlace(self.own, total, squares, len(rest) + 1 + self.others.count)


def as_tensor(values: Float[np.ndarray, "*shape"]) -> Float[Tensor, "*shape"]:
    """Return a float64 tensor."""
    return torch.as_tensor(values, dtype=torch.float64)
