"""Dataset quantization: bins of decreasing representativeness, and a draw from each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.diagnostics import Diagnostics
from otcondense.selection.nearest import first_minimum
from otcondense.selection.selector_config import SelectorConfig, free_images, included_first


class DqConfig(SelectorConfig):
    """Parameters of dataset quantization."""

    bins: int = Field(default=10, ge=1)
    """Number of bins, each an equal share of the class; at most one bin per image."""
    trade_off: float = Field(default=1.0, gt=0)
    """Weight, in the GraphCut gain, of representing the remaining images against differing from the
    bin (lambda)."""


@dataclass(frozen=True)
class DqDiagnostics(Diagnostics):
    """Diagnostics of dataset quantization."""

    bins: tuple[int, ...]
    """Number of images in each bin."""
    drawn_per_bin: tuple[int, ...]


@final
class DqSelector(Selector):
    """Fills bins one after another by GraphCut greedy, then draws evenly from each bin.

    Similarity is the cosine, mapped to [0, 1], of the loss gradients in the last layer (weights and
    bias). For errors e = softmax(logits) − one-hot and features h, the product of two gradients is
    ⟨e, e'⟩ (1 + ⟨h, h'⟩), so that no gradient is computed. Without `logits` it is the cosine of the
    features. The true class is the column of the logits that gives `cross_entropy`, or without
    `cross_entropy` the one with the highest mean log-probability. `fit` needs `features`.

    Each bin gives budget // bins images, and the first bins one more until the budget is reached.
    Images that a bin cannot give are taken from the next one. The authors' fractions would give
    fewer images than the budget.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of the draws, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    bins : int, default 10
        Number of bins, >= 1, each an equal share of the class.
    trade_off : float, default 1.0
        Weight, > 0, of representing the remaining images against differing from the bin (lambda in
        the GraphCut gain).

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, bin by bin.
    objective_ : float
        Nan: this method has no objective.
    diagnostics_ : DqDiagnostics
        Images in each bin, and images drawn from it.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import DqSelector
    >>> features = np.random.default_rng(0).normal(size=(60, 4))
    >>> selector = DqSelector(budget=6, bins=3).fit(features)
    >>> selector.diagnostics_
    DqDiagnostics(bins=(20, 20, 20), drawn_per_bin=(2, 2, 2))

    References
    ----------
    .. [1] Zhou et al., "Dataset quantization", ICCV 2023, sections 3.2 and 3.3, without the pixel
       stage.
    """

    Config: ClassVar[type[SelectorConfig]] = DqConfig
    needs = frozenset({"features"})
    config: DqConfig
    diagnostics_: DqDiagnostics

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        bins: int = 10,
        trade_off: float = 1.0,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.bins = bins
        self.trade_off = trade_off
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        config = self.config
        similarity = (1 + _cosine(candidates)) / 2
        free = free_images(self.config, candidates.size)
        count = max(1, min(config.bins, len(free)))
        bins = _fill_bins(similarity, free, count, config.trade_off)
        sizes = [len(members) for members in bins]
        quotas = _quotas(budget - len(config.include), sizes)

        rng = np.random.default_rng(config.seed)
        drawn = [rng.permutation(bins[b])[:quota] for b, quota in enumerate(quotas)]
        self.indices_ = included_first(self.config, np.concatenate(drawn), budget)
        self.diagnostics_ = DqDiagnostics(tuple(sizes), tuple(quotas))
        for index in self.indices_.tolist():
            self._record(index)


def _fill_bins(
    similarity: Float[np.ndarray, "n n"],
    free: Int[np.ndarray, " f"],
    count: int,
    trade_off: float,
) -> list[Int[np.ndarray, " m"]]:
    """Split the images that may be chosen into bins, each in order of choice.

    The gain of an image is λ times its similarity to the remaining images, minus twice its
    similarity to the bin so far. Images that are no candidates always remain.
    """
    remaining = np.ones(len(similarity), dtype=bool)
    waiting = np.zeros(len(similarity), dtype=bool)
    waiting[free] = True
    bins = []
    for part in np.array_split(free, count):
        gain = trade_off * similarity @ remaining
        members = []
        for _ in range(len(part)):
            index = int(first_minimum(np.where(waiting, -gain, np.inf)))
            remaining[index] = waiting[index] = False
            gain -= 2 * similarity[index]
            members.append(index)
        bins.append(np.array(members, dtype=np.int64))
    return bins


def _quotas(budget: int, sizes: list[int]) -> list[int]:
    """Return the number of images that each bin gives; their sum is the budget."""
    quotas: list[int] = []
    owed = 0
    for position, size in enumerate(sizes):
        owed += budget // len(sizes) + (position < budget % len(sizes))
        quotas.append(min(size, owed))
        owed -= quotas[-1]

    # The last bins may be too small for the images that are still owed.
    for position, size in enumerate(sizes):
        extra = min(size - quotas[position], owed)
        quotas[position] += extra
        owed -= extra
    assert owed == 0
    return quotas


def _cosine(candidates: Candidates) -> Float[np.ndarray, "n n"]:
    features = candidates.require("features", "dq")
    gram = features @ features.T
    if candidates.logits is not None:
        errors = _errors(candidates.logits, candidates.cross_entropy)
        bias = 1 / candidates.cost_unit
        gram = (errors @ errors.T) * (bias + gram)
    norm = np.sqrt(np.diag(gram))
    scale = np.where(norm > 0, norm, 1)
    cosine: Float[np.ndarray, "n n"] = np.clip(gram / scale / scale[:, None], -1, 1)
    return cosine


def _errors(
    logits: Float[np.ndarray, "n c"], cross_entropy: Float[np.ndarray, " n"] | None
) -> Float[np.ndarray, "n c"]:
    """Return the softmax minus the one-hot true class: the gradient with respect to the logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    if cross_entropy is None:
        evidence = log_p.mean(axis=0)
    else:
        evidence = -np.abs(cross_entropy[:, None] + log_p).mean(axis=0)
    errors: Float[np.ndarray, "n c"] = np.exp(log_p)
    errors[:, int(evidence.argmax())] -= 1
    return errors
