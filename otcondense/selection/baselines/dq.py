"""Dataset quantization: bins of falling representativeness, and a draw from each."""

from typing import ClassVar, final

import numpy as np
from jaxtyping import Float, Int
from pydantic import Field

from otcondense.selection.base import Candidates, Selector, SelectorConfig
from otcondense.selection.nearest import first_minimum


class DqConfig(SelectorConfig):
    """Settings of dataset quantization."""

    bins: int = Field(default=10, ge=1)
    """Number of bins, each an equal share of the class; at most one for each image."""
    trade_off: float = Field(default=1.0, gt=0)
    """Weight of representing the rest against differing from the bin, lambda in the GraphCut gain."""


@final
class DqSelector(Selector):
    """Fills bins one after another by GraphCut greedy on the images left, then draws evenly from each bin.

    Similarity is the cosine, mapped to [0, 1], of the loss gradients in the last layer (weights and bias): for errors
    e = softmax(logits) − one-hot and features h the product of two gradients is ⟨e, e'⟩ (1 + ⟨h, h'⟩), so no gradient is built.
    Without `logits` it is the cosine of the features. The true class is the column of the logits that gives `cross_entropy`,
    else the one of the highest mean log-probability. Top-up rule: budget // bins from each bin and one more from as many of the
    first bins as the rest needs; what a bin cannot give is taken from the next one. The authors' fractions fall short there.

    Source: Zhou et al., "Dataset quantization", ICCV 2023, sections 3.2 and 3.3, without the pixel stage.
    """

    Config: ClassVar[type[SelectorConfig]] = DqConfig
    config: DqConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        similarity = (1 + _cosine(candidates)) / 2
        bins = _fill_bins(similarity, min(self.config.bins, candidates.size), self.config.trade_off)
        quotas = _quotas(budget, [len(members) for members in bins])
        rng = np.random.default_rng(self.config.seed)
        self.indices_ = np.concatenate(
            [rng.permutation(members)[:quota] for members, quota in zip(bins, quotas, strict=True)]
        )
        self.diagnostics_ = {"bins": [len(members) for members in bins], "drawn_per_bin": quotas}
        for index in self.indices_.tolist():
            self._record(index)


def _fill_bins(
    similarity: Float[np.ndarray, "n n"], count: int, trade_off: float
) -> list[Int[np.ndarray, " m"]]:
    """Split a class into bins in order of choice; the gain is λ Σ over images left − 2 Σ over the bin so far."""
    left, bins = np.ones(len(similarity), dtype=bool), []
    for size in [len(part) for part in np.array_split(np.arange(len(similarity)), count)]:
        gain, members = trade_off * similarity @ left, []
        for _ in range(size):
            index = int(first_minimum(np.where(left, -gain, np.inf)))
            left[index] = False
            gain -= 2 * similarity[index]
            members.append(index)
        bins.append(np.array(members))
    return bins


def _quotas(budget: int, sizes: list[int]) -> list[int]:
    quotas, owed = [], 0
    for position, size in enumerate(sizes):
        owed += budget // len(sizes) + (position < budget % len(sizes))
        quotas.append(min(size, owed))
        owed -= quotas[-1]
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
        gram = (errors @ errors.T) * (1 + gram)
    norm = np.sqrt(np.diag(gram))
    scale = np.where(norm > 0, norm, 1)
    cosine: Float[np.ndarray, "n n"] = np.clip(gram / scale / scale[:, None], -1, 1)
    return cosine


def _errors(
    logits: Float[np.ndarray, "n c"], cross_entropy: Float[np.ndarray, " n"] | None
) -> Float[np.ndarray, "n c"]:
    """Softmax minus the one-hot true class: the gradient of the cross-entropy in the logits."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    target = (
        log_p.mean(axis=0)
        if cross_entropy is None
        else -np.abs(cross_entropy[:, None] + log_p).mean(axis=0)
    )
    errors: Float[np.ndarray, "n c"] = np.exp(log_p)
    errors[:, int(target.argmax())] -= 1
    return errors
