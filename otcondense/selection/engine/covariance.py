"""The statistics term with full covariances.

The squared Frechet distance of the Gaussians of subset and class with full covariances,
|mean_S - mean_T|^2 + tr(A + B - 2 (B^1/2 A B^1/2)^1/2). Source: Dowson & Landau (1982), eq. 4. It
goes beyond the paper, and needs only k-by-k problems: with G the Gram matrix of the centred
features and M = G diag(w) G / (1 - sum w^2), the last trace is that of the root of the centred M_SS
/ (k - 1).

The Gram matrix of a large class is not held: its rows are products of the features.
"""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.selection.engine.statistics import (
    CHUNK_VALUES,
    TINY,
    PlaceStatistics,
    Statistics,
    class_weights,
    unbiased,
)

SMALLEST_EIGENVALUE = 1e-6
"""Eigenvalues of a covariance are raised by this share of the largest before their root is
linearised."""

FULL_ROUNDING = 1e-11
"""Margin of the bound with full covariances, as a share of its terms, which cancel."""

EIGENVALUE_ROUNDING = 1e-14
"""Eigenvalues below this share of the largest, times their number, are 0 up to rounding.

Without the limit, their roots would add to the trace.
"""


class CovarianceStatistics(Statistics):
    """Mean and full covariance, through rows of the Gram matrix G and of S = X Sigma_T X^T."""

    trace: float
    """Trace of the class covariance."""

    @property
    @abstractmethod
    def own_gram(self) -> Float[Tensor, " n"]:
        """Diagonal of G."""

    @property
    @abstractmethod
    def own_spread(self) -> Float[Tensor, " n"]:
        """Diagonal of S."""

    @abstractmethod
    def gram_rows(self, images: Int[Tensor, " r"]) -> Float[Tensor, "r n"]:
        """Return rows of G."""

    @abstractmethod
    def spread_rows(self, images: Int[Tensor, " r"]) -> Float[Tensor, "r n"]:
        """Return rows of S."""

    def at(self, rest: Int[Tensor, " r"]) -> PlaceStatistics:
        size = len(rest) + 1
        own = self.own_gram
        rows = self.gram_rows(rest)
        mean = (rows[:, rest].sum() + 2 * rows.sum(dim=0) + own) / size**2
        if size > 1:
            trace = (own[rest].sum() + own - size * mean) / (size - 1)
        else:
            trace = torch.zeros_like(mean)
        return _FullPlace(self, rest, self.spread_rows(rest), mean + trace + self.trace)


@dataclass(frozen=True)
class FullStatistics(CovarianceStatistics):
    """Mean and full covariance of a class whose Gram matrix is held."""

    gram: Float[Tensor, "n n"]
    spread: Float[Tensor, "n n"]
    """X Sigma_T X^T."""
    trace: float

    @classmethod
    def of(
        cls, features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None
    ) -> "FullStatistics":
        """Measure a class of centred features."""
        mass = class_weights(len(features), weights, features)
        gram = features @ features.T
        spread = (gram * (mass / unbiased(mass))) @ gram
        return cls(gram, (spread + spread.T) / 2, float(mass @ gram.diagonal()) / unbiased(mass))

    @property
    def own_gram(self) -> Float[Tensor, " n"]:
        return self.gram.diagonal()

    @property
    def own_spread(self) -> Float[Tensor, " n"]:
        return self.spread.diagonal()

    def gram_rows(self, images: Int[Tensor, " r"]) -> Float[Tensor, "r n"]:
        return self.gram[images]

    def spread_rows(self, images: Int[Tensor, " r"]) -> Float[Tensor, "r n"]:
        return self.spread[images]


@dataclass(frozen=True)
class FactoredStatistics(CovarianceStatistics):
    """Mean and full covariance of a large class, whose Gram matrix is not held."""

    features: Float[Tensor, "n d"]
    turned: Float[Tensor, "n d"]
    """X Sigma_T."""
    trace: float

    @classmethod
    def of(
        cls, features: Float[Tensor, "n d"], weights: Float[Tensor, " n"] | None
    ) -> "FactoredStatistics":
        """Measure a class of centred features."""
        mass = class_weights(len(features), weights, features)
        covariance = features.T @ (features * (mass / unbiased(mass))[:, None])
        covariance = (covariance + covariance.T) / 2
        return cls(features, features @ covariance, float(covariance.trace()))

    @property
    def own_gram(self) -> Float[Tensor, " n"]:
        return self.features.square().sum(dim=1)

    @property
    def own_spread(self) -> Float[Tensor, " n"]:
        return (self.features * self.turned).sum(dim=1)

    def gram_rows(self, images: Int[Tensor, " r"]) -> Float[Tensor, "r n"]:
        rows: Float[Tensor, "r n"] = self.features[images] @ self.features.T
        return rows

    def spread_rows(self, images: Int[Tensor, " r"]) -> Float[Tensor, "r n"]:
        rows: Float[Tensor, "r n"] = self.turned[images] @ self.features.T
        return rows


@dataclass(frozen=True)
class _FullPlace(PlaceStatistics):
    of: CovarianceStatistics
    rest: Int[Tensor, " r"]
    rows: Float[Tensor, "r n"]
    known: Float[Tensor, " n"]
    """All of the term but the trace of the root, for each image of the class."""

    def exact(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        size = len(self.rest) + 1
        value = self.known[candidates]
        if size == 1:
            return value
        rows = max(1, CHUNK_VALUES // size**2)
        starts = range(0, len(candidates), rows)
        roots = [self._roots(candidates[start : start + rows]) for start in starts]
        return value - 2 * torch.cat(roots)

    def _blocks(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, "m k k"]:
        """Return the centred M_SS / (k - 1) with each candidate."""
        size = len(self.rest) + 1
        block = self.rows.new_empty(len(candidates), size, size)
        block[:, :-1, :-1] = self.rows[:, self.rest]
        block[:, :-1, -1] = self.rows[:, candidates].T
        block[:, -1, :-1] = self.rows[:, candidates].T
        block[:, -1, -1] = self.of.own_spread[candidates]
        block -= block.mean(dim=1, keepdim=True)
        block -= block.mean(dim=2, keepdim=True)
        return block / (size - 1)

    def _roots(self, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        """Return the trace of the root with each candidate."""
        values: Float[Tensor, "m k"] = torch.linalg.eigvalsh(self._blocks(candidates))
        noise = EIGENVALUE_ROUNDING * values.shape[1] * values[:, -1:].clamp(min=0)
        roots: Float[Tensor, " m"] = values.where(values > noise, 0.0).sqrt().sum(dim=1)
        return roots

    def lower_bound(self, reference: int, candidates: Int[Tensor, " m"]) -> Float[Tensor, " m"]:
        size = len(self.rest) + 1
        if size == 1:
            return self.known[candidates]

        # The trace of the root is linearised at its value with the reference image.
        block = self._blocks(self.rest.new_tensor([reference]))[0]
        values, vectors = torch.linalg.eigh(block)
        smallest = SMALLEST_EIGENVALUE * values[-1].clamp(min=TINY)
        roots = (values.clamp(min=0) + smallest).sqrt()
        inverse = (vectors / roots) @ vectors.T / (size - 1)
        inverse -= inverse.mean(dim=0, keepdim=True)
        inverse -= inverse.mean(dim=1, keepdim=True)

        total: Float[Tensor, " n"] = (
            self.of.own_spread * inverse[-1, -1] + 2 * inverse[-1, :-1] @ self.rows
        )
        total += (inverse[:-1, :-1] * self.rows[:, self.rest]).sum()

        # `roots` also holds the root of the constant direction, which is not part of the trace.
        # That only lowers the bound.
        bound: Float[Tensor, " n"] = self.known - total - roots.sum()
        bound -= FULL_ROUNDING * (self.known.abs() + total.abs())
        return bound[candidates]
