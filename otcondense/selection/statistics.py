r"""How far the mean and the spread of a subset are from those of its class.

diagonal: |mean_S - mean_T|^2 + |std_S - std_T|^2, unbiased variances, 0 for a single image. Source: arXiv:2606.05883, the mean-variance term.
full: the squared Frechet distance of the Gaussians of subset and class, |mean_S - mean_T|^2 + tr(A + B - 2 (B^1/2 A B^1/2)^1/2), with full covariances.
Source: Dowson & Landau (1982), eq. 4. It goes beyond the paper, and needs only k-by-k problems: with G the Gram matrix of the centred features and
M = G diag(w) G / (1 - sum w^2), the last trace is that of the root of the centred M_SS / (k - 1).

Bounds for many candidates at once rest on sqrt(v) <= (v / y + y) / 2 for every y > 0, and on the same inequality for traces of matrix roots.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

CHUNK_VALUES = 1 << 22


class Statistics(ABC):
    """The statistics of one class; features are centred at the weighted class mean."""

    @abstractmethod
    def value(self, subset: Int[Tensor, " k"]) -> Float[Tensor, ""]:
        """Return the term of one subset."""

    @abstractmethod
    def extended(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Return the term of `rest` with each candidate added in turn."""

    @abstractmethod
    def lower_bound(self, rest: Int[Tensor, " r"], reference: int) -> Float[Tensor, " n"]:
        """Return a lower bound on the term of `rest` with each image of the class added in turn, tight at `reference`."""


def class_weights(size: int, weights: Float[Tensor, " n"] | None, like: Tensor) -> Float[Tensor, " n"]:
    """Return the weights of the class images, uniform where None, sum 1."""
    return like.new_full((size,), 1 / size) if weights is None else weights


def unbiased(weights: Float[Tensor, " n"]) -> float:
    """Return the divisor 1 - sum w^2 of an unbiased weighted variance; 1 for a single image, whose variance is 0."""
    divisor = 1 - float(weights.square().sum())
    return divisor if divisor > 1e-12 else 1.0


@dataclass(frozen=True)
class DiagonalStatistics(Statistics):
    """Mean and standard deviation of each feature."""

    features: Float[Tensor, "n d"]
    squares: Float[Tensor, "n d"]
    std: Float[Tensor, " d"]

    @classmethod
    def of(cls, features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None) -> "DiagonalStatistics":
        mass = class_weights(len(features), weights, features)
        squares = features.square()
        return cls(features, squares, (mass @ squares / unbiased(mass)).sqrt())

    def value(self, subset: Int[Tensor, " k"]) -> Float[Tensor, ""]:
        return self.extended(subset[:-1], subset[-1:])[0]

    def extended(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        total, squares, size = self.features[rest].sum(dim=0), self.squares[rest].sum(dim=0), len(rest) + 1
        rows = max(1, CHUNK_VALUES // self.features.shape[1])
        values = []
        for part in candidates.split(rows):
            mean = (self.features[part] + total) / size
            value = mean.square().sum(dim=1)
            if size > 1:
                variance = (self.squares[part] + squares).sub_(mean.square_(), alpha=size).div_(size - 1).clamp_(min=0)
                value += variance.sqrt_().sub_(self.std).square_().sum(dim=1)
            else:
                value += self.std.square().sum()
            values.append(value)
        return torch.cat(values)

    def lower_bound(self, rest: Int[Tensor, " r"], reference: int) -> Float[Tensor, " n"]:
        total, size = self.features[rest].sum(dim=0), len(rest) + 1
        if size == 1:
            return (self.squares.sum(dim=1)) + self.std.square().sum()
        spread = self.squares[rest].sum(dim=0) - total.square() / size
        own = (spread + self.squares[reference] * (1 - 1 / size) - self.features[reference] * total * (2 / size)) / (size - 1)
        root = own.clamp(min=1e-12 * float(self.std.square().max()) + 1e-300).sqrt()
        slope = (1 - self.std / root) / (size - 1)
        constant = (slope * spread).sum() - (self.std * root).sum() + self.std.square().sum() + total.square().sum() / size**2
        linear = slope * total * (-2 / size) + total * (2 / size**2)
        value = constant + self.squares @ (slope * (1 - 1 / size) + 1 / size**2) + self.features @ linear
        # The sums above cancel; what rounding may add is taken off.
        return value - 1e-13 * (self.std.square().sum() + constant.abs() + total.square().sum())


@dataclass(frozen=True)
class FullStatistics(Statistics):
    """Mean and full covariance, through the Gram matrix."""

    gram: Float[Tensor, "n n"]
    spread: Float[Tensor, "n n"]
    """X Sigma_T X^T."""
    trace: float
    """Trace of the class covariance."""

    @classmethod
    def of(cls, features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None) -> "FullStatistics":
        mass = class_weights(len(features), weights, features)
        gram = features @ features.T
        spread = (gram * (mass / unbiased(mass))) @ gram
        return cls(gram, (spread + spread.T) / 2, float(mass @ gram.diagonal()) / unbiased(mass))

    def value(self, subset: Int[Tensor, " k"]) -> Float[Tensor, ""]:
        return self.extended(subset[:-1], subset[-1:])[0]

    def _mean_and_trace(self, rest: Int[Tensor, " r"]) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
        """Squared norm of the mean and trace of the covariance, for each image of the class added to `rest`."""
        size = len(rest) + 1
        own = self.gram.diagonal()
        mean = (self.gram[rest][:, rest].sum() + 2 * self.gram[rest].sum(dim=0) + own) / size**2
        trace = (own[rest].sum() + own - size * mean) / (size - 1) if size > 1 else torch.zeros_like(mean)
        return mean, trace

    def extended(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        size = len(rest) + 1
        mean, trace = (part[candidates] for part in self._mean_and_trace(rest))
        value = mean + trace + self.trace
        if size == 1:
            return value
        roots = [self._roots(rest, part) for part in candidates.split(max(1, CHUNK_VALUES // size**2))]
        return value - 2 * torch.cat(roots)

    def _blocks(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, "m k k"]:
        """Centred M_SS / (k - 1) of `rest` with each candidate."""
        size = len(rest) + 1
        block = self.spread.new_empty(len(candidates), size, size)
        block[:, :-1, :-1] = self.spread[rest][:, rest]
        block[:, :-1, -1] = self.spread[candidates][:, rest]
        block[:, -1, :-1] = block[:, :-1, -1]
        block[:, -1, -1] = self.spread.diagonal()[candidates]
        block -= block.mean(dim=1, keepdim=True)
        block -= block.mean(dim=2, keepdim=True)
        return block / (size - 1)

    def _roots(self, rest: Int[Tensor, " r"], candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        return torch.linalg.eigvalsh(self._blocks(rest, candidates)).clamp(min=0).sqrt().sum(dim=1)

    def lower_bound(self, rest: Int[Tensor, " r"], reference: int) -> Float[Tensor, " n"]:
        size = len(rest) + 1
        mean, trace = self._mean_and_trace(rest)
        if size == 1:
            return mean + self.trace
        values, vectors = torch.linalg.eigh(self._blocks(rest, rest.new_tensor([reference]))[0])
        roots = (values.clamp(min=0) + 1e-6 * values[-1].clamp(min=1e-300)).sqrt()
        inverse = (vectors / roots) @ vectors.T / (size - 1)
        inverse -= inverse.mean(dim=0, keepdim=True)
        inverse -= inverse.mean(dim=1, keepdim=True)
        linear = self.spread.diagonal() * inverse[-1, -1] + 2 * inverse[-1, :-1] @ self.spread[rest]
        total = (inverse[:-1, :-1] * self.spread[rest][:, rest]).sum() + linear
        # The root of the constant direction is not part of the trace, but it is part of `roots`: adding it keeps the bound valid.
        bound = mean + trace + self.trace - total - roots.sum()
        return bound - 1e-11 * (self.trace + trace.abs() + total.abs())


def make_statistics(kind: Literal["diagonal", "full"], features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None) -> Statistics:
    """Return the statistics of a class of centred features."""
    return DiagonalStatistics.of(features, weights) if kind == "diagonal" else FullStatistics.of(features, weights)
