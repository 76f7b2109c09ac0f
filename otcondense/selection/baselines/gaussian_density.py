"""The densest images under one Gaussian of the class: instance selection as for GANs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.selector_config import SelectorConfig, included_first

EXPLAINED = 0.95
"""Share of the variance in the principal directions of `ppca`. Source: arXiv:2007.15255."""
SMALLEST = 1e-12
"""Variances below this share of the largest, and squared distances below this share of the largest,
are rounding errors."""
TIE = 1e-9
"""Densities are equal if their exponents differ by less than this share of the largest."""


class GaussianDensityConfig(SelectorConfig):
    """Parameters of the choice by density."""

    covariance: Literal["shrunk", "ppca"] = "shrunk"
    """shrunk: the sample covariance, shrunk towards a multiple of the identity by the rule of
    Ledoit and Wolf; ppca: principal directions with 95 % of the variance, equal variance in all
    others."""


@dataclass(frozen=True)
class GaussianDensityDiagnostics(Diagnostics):
    """Diagnostics of the choice by density."""

    directions: int
    """Principal directions with a variance of their own."""
    shrinkage: float | None = None
    """Share of the multiple of the identity, 0 to 1; None with ppca."""


@dataclass(frozen=True)
class _Principal:
    """A class in its principal directions, those without variance left out."""

    variances: Float[np.ndarray, " r"]
    """In descending order."""
    squares: Float[np.ndarray, "n r"]
    """Squared coordinates of each image, from the mean."""
    norms: Float[np.ndarray, " n"]
    """Squared distance of each image from the mean."""
    width: int
    """Number of features."""


@dataclass(frozen=True)
class _Model:
    """Variances of a Gaussian in the first principal directions, and in all others."""

    own: Float[np.ndarray, " q"]
    other: float
    shrinkage: float | None = None


@final
class GaussianDensitySelector(Selector):
    """Takes the images with the highest density under one Gaussian of the class.

    The score of the paper is log N(z; mean, covariance) of the features z, per class. With fewer
    images than features, the sample covariance is singular and all images are equally dense under
    it; the paper does not treat that case. Here the covariance is shrunk to (1 − s) S + s (tr S /
    d) I, with s as Ledoit and Wolf estimate it from the class: deterministic, the same in any
    rotation or unit of the features, and S itself for many images. `covariance="ppca"` is the
    paper's second score, which is never singular. Weights count in mean and covariance. `fit` needs
    `features`.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Ignored: the choice is deterministic.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    covariance : {"shrunk", "ppca"}, default "shrunk"
        "shrunk" is the covariance shrunk towards a multiple of the identity, "ppca" the second
        score of the paper.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, the densest first.
    objective_ : float
        Nan: this method has no objective.
    diagnostics_ : GaussianDensityDiagnostics
        Directions and shrinkage of the Gaussian.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import GaussianDensitySelector
    >>> features = np.array([[0.0], [1.0], [1.1], [0.9], [9.0]])
    >>> GaussianDensitySelector(budget=2).fit(features).indices_
    array([2, 1])

    References
    ----------
    .. [1] DeVries, Drozdzal and Taylor, "Instance selection for GANs", NeurIPS 2020
       (arXiv:2007.15255).
    .. [2] Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance
       matrices", Journal of Multivariate Analysis 88, 2004.
    .. [3] Tipping and Bishop, "Probabilistic principal component analysis", 1999.
    """

    Config: ClassVar[type[SelectorConfig]] = GaussianDensityConfig
    needs = frozenset({"features"})
    config: GaussianDensityConfig
    diagnostics_: GaussianDensityDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        covariance: Literal["shrunk", "ppca"] = "shrunk",
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.covariance = covariance
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        features = candidates.require("features", "gaussian_density")
        principal = _principal(features - candidates.mass @ features, candidates.mass)
        fit = _shrunk if self.config.covariance == "shrunk" else _ppca
        model = fit(principal, candidates.mass)
        self.diagnostics_ = GaussianDensityDiagnostics(len(model.own), model.shrinkage)

        exponents = _exponents(principal, model)
        grid = max(TIE * exponents.max(), np.finfo(float).tiny)
        order = np.argsort(np.rint(exponents / grid), kind="stable")
        self.indices_ = included_first(self.config, order, budget)
        for index in self.indices_.tolist():
            self._record(index)


def _principal(rows: Float[np.ndarray, "n d"], mass: Float[np.ndarray, " n"]) -> _Principal:
    """Return the images, given from their mean, in the principal directions of the covariance.

    The smaller one of the products with n or d rows is decomposed.
    """
    weighted = np.sqrt(mass)[:, None] * rows
    if len(rows) < rows.shape[1]:
        values, vectors = np.linalg.eigh(weighted @ weighted.T)
        vectors = weighted.T @ vectors
    else:
        values, vectors = np.linalg.eigh(weighted.T @ weighted)
    kept = np.flatnonzero(values > SMALLEST * values.max(initial=0))[::-1]
    directions = vectors[:, kept]
    directions /= np.maximum(np.linalg.norm(directions, axis=0), np.finfo(float).tiny)
    squares = np.square(rows @ directions)
    return _Principal(values[kept], squares, np.square(rows).sum(axis=1), rows.shape[1])


def _shrunk(principal: _Principal, mass: Float[np.ndarray, " n"]) -> _Model:
    """Return the covariance shrunk by the rule of Ledoit and Wolf (2004).

    s = min(b², d²) / d², with d² = ‖S − m I‖² and b² = Σ_k w_k² ‖z_k z_kᵀ − S‖² (Frobenius norms,
    m = tr S / d, weights w of sum 1, which are 1/n in the paper).
    """
    variances = principal.variances
    mean = float(variances.sum()) / principal.width
    squared = float(np.square(variances).sum())
    spread = squared - principal.width * mean**2
    noise = np.square(principal.norms) - 2 * principal.squares @ variances + squared
    error = float(np.square(mass) @ noise)
    share = float(np.clip(error / spread, 0, 1)) if spread > SMALLEST * squared else 1.0
    return _Model((1 - share) * variances + share * mean, share * mean, share)


def _ppca(principal: _Principal, _: Float[np.ndarray, " n"]) -> _Model:
    """Return the variances of the leading directions, and the mean variance of all others."""
    variances = principal.variances
    explained = np.cumsum(variances)
    wanted = EXPLAINED * explained[-1] if len(variances) else 0.0
    count = int(np.searchsorted(explained, wanted)) + 1 if len(variances) else 0
    others = principal.width - count
    rest = float(variances[count:].sum()) / others if others else 0.0
    return _Model(variances[:count], rest)


def _exponents(principal: _Principal, model: _Model) -> Float[np.ndarray, " n"]:
    """Return the squared Mahalanobis distances from the mean: the density falls with them."""
    count = len(model.own)
    squares = principal.squares[:, :count]
    rest = principal.norms - squares.sum(axis=1)
    rest[rest < SMALLEST * principal.norms.max()] = 0
    floor = SMALLEST * float(principal.variances.max(initial=0)) or 1.0
    inside = squares @ (1 / np.maximum(model.own, floor))
    exponents: Float[np.ndarray, " n"] = inside + rest / max(model.other, floor)
    return exponents
