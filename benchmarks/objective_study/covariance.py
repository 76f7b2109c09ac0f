"""Full covariances in a few principal directions, standard deviations in the others.

In r directions the squared Frechet distance of two Gaussians needs matrices of r by r only, however
many images are chosen, and the covariance of a subset has full rank from r + 1 images.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.selection.engine.statistics import DiagonalStatistics, PlaceStatistics, Statistics

SMALLEST = 1e-6
"""Eigenvalues are raised to this share of the largest before their root is linearised."""
ROUNDING = 1e-11
"""Margin of the bound, as a share of its terms, which cancel."""
TINY = 1e-300


@dataclass(frozen=True)
class PrincipalStatistics(Statistics):
    """Mean and covariance in the first principal directions of a class."""

    points: Float[Tensor, "n r"]
    """Centred features in these directions, in which the class covariance is diagonal."""
    scaled: Float[Tensor, "n r"]
    """The same, times the class's standard deviations."""
    trace: float
    """Sum of the class's variances."""
    rest: DiagonalStatistics
    """The other directions."""

    @classmethod
    def of(cls, points: Float[Tensor, "n p"], count: int) -> "PrincipalStatistics":
        """Measure a class, given in all its principal directions, the largest first."""
        first, others = points[:, :count], points[:, count:]
        if others.shape[1] == 0:
            others = points.new_zeros(len(points), 1)
        variance = first.var(dim=0)
        rest = DiagonalStatistics.of(others, None)
        return cls(first, first * variance.sqrt(), float(variance.sum()), rest)

    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        scaled = self.scaled[rest]
        return _Place(
            self,
            self.rest.at(rest),
            self.points[rest].sum(dim=0),
            float(self.points[rest].square().sum()),
            scaled.sum(dim=0),
            scaled.T @ scaled,
            len(rest) + 1,
        )


@dataclass(frozen=True)
class _Place(PlaceStatistics):
    of: PrincipalStatistics
    others: PlaceStatistics
    total: Float[Tensor, " r"]
    squares: float
    scaled_total: Float[Tensor, " r"]
    moments: Float[Tensor, "r r"]
    """Second moments of the scaled points of the other images."""
    size: int

    def exact(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        value = self._known()[candidates] + self.others.exact(candidates)
        if self.size == 1:
            return value
        roots: Float[Tensor, "m r"]
        roots = torch.linalg.eigvalsh(self._covariances(candidates)).clamp(min=0).sqrt()
        return value - 2 * roots.sum(dim=1)

    def lower_bound(self, reference: int, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        rest = self.others.lower_bound(reference, candidates)
        known = self._known()[candidates]
        if self.size == 1:
            return known + rest
        place = torch.tensor([reference])
        values: Float[Tensor, " r"]
        vectors: Float[Tensor, "r r"]
        values, vectors = torch.linalg.eigh(self._covariances(place)[0])
        roots = (values.clamp(min=0) + SMALLEST * values[-1].clamp(min=TINY)).sqrt()
        inverse = (vectors / roots) @ vectors.T
        # 2 tr A^1/2 <= tr A Y^-1 + tr Y for every Y; Y is the root at the reference.
        scaled = self.of.scaled[candidates]
        mean = (scaled + self.scaled_total) / self.size
        linear = (
            (self.moments * inverse).sum()
            + ((scaled @ inverse) * scaled).sum(dim=1)
            - self.size * ((mean @ inverse) * mean).sum(dim=1)
        ) / (self.size - 1)
        return known - linear - roots.sum() - ROUNDING * (known + linear.abs()) + rest

    def _known(self) -> Float[Tensor, " n"]:
        """Return all of the term but the trace of the root, for each image of the class."""
        points = self.of.points
        mean = ((points + self.total) / self.size).square().sum(dim=1)
        if self.size == 1:
            return mean + self.of.trace
        squares = self.squares + points.square().sum(dim=1)
        return mean + (squares - self.size * mean) / (self.size - 1) + self.of.trace

    def _covariances(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, "m r r"]:
        """Return the covariance with each candidate, of scaled points."""
        scaled = self.of.scaled[candidates]
        mean = (scaled + self.scaled_total) / self.size
        outer = scaled[:, :, None] * scaled[:, None, :]
        centre = mean[:, :, None] * mean[:, None, :]
        return (self.moments + outer - self.size * centre) / (self.size - 1)
