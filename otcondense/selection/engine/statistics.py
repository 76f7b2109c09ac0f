r"""Distance of the mean and the spread of a subset from those of its class.

diagonal: |mean_S - mean_T|^2 + |std_S - std_T|^2, unbiased variances, 0 for a single image.
Source: arXiv:2606.05883, the mean-variance term.

full: with full covariances (`covariance`).

Bounds for many candidates at once rest on sqrt(v) <= (v / y + y) / 2 for every y > 0, and on the
same inequality for traces of matrix roots.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks

CHUNK_VALUES = 1 << 19
"""Number of values in the intermediate results of a block (4 MB)."""

BOUND_ROWS = 512
"""Rows of a block in the linear bound."""

SINGLE_IMAGE_DIVISOR = 1e-12
"""A smaller divisor of the unbiased variance is 0 up to rounding: one image has all the mass."""

SMALLEST_VARIANCE = 1e-12
"""Variances are raised to this share of the largest before their root is linearised.

The linearisation has no limit at 0; the bound holds at any point.
"""

TINY = 1e-300
"""Keeps a root positive where all variances are 0."""

DIAGONAL_ROUNDING = 1e-13
"""Margin of the bound with standard deviations, as a share of its terms, which cancel."""


class PlaceStatistics(ABC):
    """The statistics term of a subset with one open place, as a function of the image there."""

    @abstractmethod
    def exact(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Return the term with each candidate in turn."""

    @abstractmethod
    def lower_bound(self, reference: int, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Return a lower bound on the term with each candidate in turn.

        It is tight at `reference`.
        """


class Statistics(ABC):
    """The statistics of one class; features are centred at the weighted class mean."""

    @abstractmethod
    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        """Return the term of `rest` with one more image."""

    def value(self, subset: Int[Tensor, " k"]) -> Float[Tensor, ""]:
        """Return the term of one subset."""
        return self.at(subset[:-1]).exact(subset[-1:])[0]


def class_weights(
    size: int, weights: Float[Tensor, " n"] | None, like: Tensor
) -> Float[Tensor, " n"]:
    """Return the weights of the class images, sum 1; None is uniform."""
    return like.new_full((size,), 1 / size) if weights is None else weights


def unbiased(weights: Float[Tensor, " n"]) -> float:
    """Return the divisor 1 - sum w^2 of an unbiased weighted variance.

    For a single image, whose variance is 0, it is 1.
    """
    divisor = 1 - float(weights.square().sum())
    return divisor if divisor > SINGLE_IMAGE_DIVISOR else 1.0


@dataclass(frozen=True)
class DiagonalStatistics(Statistics):
    """Mean and standard deviation of each feature."""

    features: Float[Tensor, "n d"]
    squares: Float[Tensor, "n d"]
    norms: Float[Tensor, " n"]
    """Squared lengths of the features."""
    std: Float[Tensor, " d"]
    workers: int = 1

    @classmethod
    def of(
        cls, features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None, workers: int = 1
    ) -> "DiagonalStatistics":
        """Measure a class of centred features."""
        mass = class_weights(len(features), weights, features)
        squares = features.square()
        variance = mass @ squares / unbiased(mass)
        return cls(features, squares, squares.sum(dim=1), variance.sqrt(), workers)

    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        total = self.features[rest].sum(dim=0)
        squares = self.squares[rest].sum(dim=0)
        return DiagonalPlace(self, total, squares, len(rest) + 1)


@dataclass(frozen=True)
class DiagonalPlace(PlaceStatistics):
    """The term of a subset of one class with one open place."""

    of: DiagonalStatistics
    total: Float[Tensor, " d"]
    """Sum of the other images."""
    squares: Float[Tensor, " d"]
    """Sum of their squares."""
    size: int
    """Number of images with the place filled."""

    def exact(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        of = self.of
        size = self.size
        values = (of.norms[candidates] + self.total.square().sum()) / size**2
        if size == 1:
            return values + of.std.square().sum()
        spread = (self.squares - self.total.square() / size) / (size - 1)
        slope = self.total * (-2 / (size * (size - 1)))
        cross = self.total * (2 / size**2)

        def work(rows: slice) -> None:
            x = of.features[candidates[rows]]
            values[rows] += x @ cross
            variance = torch.addcmul(spread, x, torch.add(slope, x, alpha=1 / size))
            deviation = variance.clamp_(min=0).sqrt_().sub_(of.std)
            values[rows] += deviation.square_().sum(dim=1)

        rows = max(1, CHUNK_VALUES // (4 * len(self.total)))
        row_blocks(work, len(candidates), workers=of.workers, rows=rows)
        return values

    def lower_bound(self, reference: int, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        of = self.of
        size = self.size
        spread_of_class = of.std.square().sum()
        if size == 1:
            return of.norms[candidates] + spread_of_class

        # The root of the variance is linearised at its value with the reference image.
        spread = self.squares - self.total.square() / size
        variance = (
            spread
            + of.squares[reference] * (1 - 1 / size)
            - of.features[reference] * self.total * (2 / size)
        ) / (size - 1)
        smallest = SMALLEST_VARIANCE * float(of.std.square().max()) + TINY
        root = variance.clamp(min=smallest).sqrt()
        slope = (1 - of.std / root) / (size - 1)

        # The bound is a quadratic function of the candidate's features.
        constant = (
            (slope * spread).sum()
            - (of.std * root).sum()
            + spread_of_class
            + self.total.square().sum() / size**2
        )
        quadratic = slope * (1 - 1 / size) + 1 / size**2
        linear = slope * self.total * (-2 / size) + self.total * (2 / size**2)

        rounding = spread_of_class + constant.abs() + self.total.square().sum()
        least = float(constant - DIAGONAL_ROUNDING * rounding)
        # Gathering rows costs a copy: for most of a class, all rows are bounded in place.
        everything = 2 * len(candidates) > len(of.features)
        value = quadratic.new_full((len(of.features) if everything else len(candidates),), least)

        def work(rows: slice) -> None:
            index = rows if everything else candidates[rows]
            value[rows] += of.squares[index] @ quadratic + of.features[index] @ linear

        row_blocks(work, len(value), workers=of.workers, rows=BOUND_ROWS)
        return value[candidates] if everything else value


def make_statistics(
    kind: Literal["diagonal", "full"],
    features: Float[Tensor, "n d"],
    weights: Float[Tensor, " n"] | None,
    workers: int = 1,
    *,
    is_large: bool = False,
) -> Statistics:
    """Return the statistics of a class of centred features; a large one gets no n x n matrix."""
    if kind == "diagonal":
        return DiagonalStatistics.of(features, weights, workers)

    from otcondense.selection.engine.covariance import FactoredStatistics, FullStatistics

    if is_large:
        return FactoredStatistics.of(features, weights)
    return FullStatistics.of(features, weights)
