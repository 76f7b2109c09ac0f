"""The protocol of ADM's evaluator, which papers on ImageNet use, without TensorFlow.

Source: Dhariwal & Nichol 2021 (arXiv:2105.05233), section 2.2, and the public reference files
VIRTUAL_imagenet256_labeled.npz and VIRTUAL_imagenet512.npz.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.evaluation.adm_files import AdmReference
from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair, as_features
from otcondense.evaluation.fidelity import warn_if_sorted
from otcondense.evaluation.frechet import (
    FeatureStatistics,
    feature_statistics,
    frechet_distance_of_statistics,
)
from otcondense.evaluation.manifold import PrecisionRecall, precision_recall
from otcondense.evaluation.metrics import compute_group

CHUNK_IMAGES = 5000
"""Images in one part of the Inception Score, in file order."""
BLOCK_ROWS = 10_000
"""Rows and columns of a block of distances. A block is in half precision if all of it is finite."""
NEIGHBOURS = 3
"""k of precision and recall in ADM's evaluator."""


@dataclass(frozen=True)
class AdmSamples:
    """Outputs of Inception for samples, in file order."""

    pool: Float[Tensor, "n d"]
    logits: Float[Tensor, "n c"]
    spatial: Float[Tensor, "n s"] | None = None


@dataclass(frozen=True)
class AdmSets:
    """Samples and the reference that they are compared with."""

    samples: AdmSamples
    reference: AdmReference
    images: ArrayOrTensor | None
    """[m, 2048] pool_3 features of the reference images; None skips precision and recall."""
    half: bool
    """Whether precision and recall use half-precision distances."""

    @cached_property
    def precision_recall(self) -> PrecisionRecall | None:
        """Precision and recall; None without reference images."""
        if self.images is None:
            return None
        if self.half:
            return half_precision_recall(self.samples.pool, self.images)
        return precision_recall(self.samples.pool, self.images, NEIGHBOURS)


def adm_metrics(
    samples: AdmSamples,
    reference: AdmReference,
    images: ArrayOrTensor | None = None,
    *,
    half: bool = True,
) -> dict[str, float]:
    """Return the metrics of the group adm.

    Args:
        samples: outputs of Inception, in file order.
        reference: statistics of the reference.
        images: [m, 2048] pool_3 features of the reference images; None skips precision and recall.
        half: compute distances in half precision if a block of them stays finite, as ADM's
            evaluator does. This raises its precision and recall by some tenths of a point. False
            computes them exactly.

    Raises: InputError for invalid features.
    """
    return compute_group("adm", AdmSets(samples, reference, images, half))


def adm_fid(sets: AdmSets) -> float:
    """Return the Fréchet distance of pool_3 features to the reference statistics."""
    statistics = feature_statistics(sets.samples.pool, "the samples")
    return _distance_to(sets.reference.pool, statistics)


def adm_sfid(sets: AdmSets) -> float | None:
    """Return the Fréchet distance of spatial features; None if either side has none."""
    if sets.samples.spatial is None or sets.reference.spatial is None:
        return None
    statistics = feature_statistics(sets.samples.spatial, "the samples (spatial)")
    return _distance_to(sets.reference.spatial, statistics)


def _distance_to(reference: FeatureStatistics, samples: FeatureStatistics) -> float:
    """Return the Fréchet distance to statistics of a file, which are on the CPU."""
    return frechet_distance_of_statistics(samples, reference.to(samples.mean.device))


def adm_inception_score(sets: AdmSets) -> float:
    """Return the Inception Score over parts of 5,000 samples in file order."""
    return inception_score_in_order(sets.samples.logits)


def adm_precision(sets: AdmSets) -> float | None:
    """Return precision against the reference images; None without them."""
    return None if sets.precision_recall is None else sets.precision_recall.precision


def adm_recall(sets: AdmSets) -> float | None:
    """Return recall against the reference images; None without them."""
    return None if sets.precision_recall is None else sets.precision_recall.recall


def inception_score_in_order(logits: ArrayOrTensor) -> float:
    """Return the mean Inception Score over parts of 5,000 samples in order; the last may be short.

    Warns if the order is by class.
    """
    rows = as_features("the samples' logits", logits, 2)
    warn_if_sorted(rows.argmax(dim=1))

    scores = []
    for part in torch.split(rows, CHUNK_IMAGES):
        logs = part.double().log_softmax(dim=1)
        shares = logs.exp()
        divergence = (shares * (logs - shares.mean(dim=0).log())).sum(dim=1)
        scores.append(float(divergence.mean().exp()))
    return float(np.mean(scores))


def half_precision_recall(
    samples: ArrayOrTensor, reference: ArrayOrTensor, neighbours: int = NEIGHBOURS
) -> PrecisionRecall:
    """Return precision and recall from half-precision distances.

    Use them only to compare with published numbers. Arguments and errors as for `precision_recall`.
    """
    pair = as_feature_pair(("the samples", samples), ("the reference", reference), neighbours + 1)
    one = pair[0].float()
    two = pair[1].float()

    sample_radii = _half_radii(one, neighbours)
    real_radii = _half_radii(two, neighbours)

    precise = torch.zeros(len(one), dtype=torch.bool, device=one.device)
    recalled = torch.zeros(len(two), dtype=torch.bool, device=two.device)
    for first, rows in _blocks(one):
        here = slice(first, first + len(rows))
        for second, others in _blocks(two):
            there = slice(second, second + len(others))
            squared = _half_distances(rows, others)
            precise[here] |= (squared <= real_radii[there]).any(dim=1)
            recalled[there] |= (squared <= sample_radii[here, None]).any(dim=0)
    return PrecisionRecall(float(precise.double().mean()), float(recalled.double().mean()))


def _half_radii(features: Float[Tensor, "n d"], neighbours: int) -> Float[Tensor, " n"]:
    """Return the squared distance to the k-th nearest other image.

    The image itself counts as the nearest one of all.
    """
    radii = []
    for _, rows in _blocks(features):
        nearest = []
        for _, others in _blocks(features):
            kept = min(neighbours + 1, len(others))
            nearest.append(_half_distances(rows, others).topk(kept, largest=False).values)
        radii.append(torch.cat(nearest, dim=1).kthvalue(neighbours + 1, dim=1).values)
    return torch.cat(radii)


def _half_distances(
    rows: Float[Tensor, "a d"], others: Float[Tensor, "b d"]
) -> Float[Tensor, "a b"]:
    half = _expanded(rows.half(), others.half())
    return half.float() if half.isfinite().all() else _expanded(rows, others)


def _expanded(rows: Tensor, others: Tensor) -> Tensor:
    """Return squared distances; products are summed in single precision and rounded.

    This is the arithmetic of matrix units.
    """
    product = (rows.float() @ others.float().T).to(rows.dtype)
    row_norms = _squared_norms(rows)
    other_norms = _squared_norms(others)
    return (row_norms[:, None] - 2 * product + other_norms).clamp_min(0)


def _squared_norms(rows: Tensor) -> Tensor:
    return rows.square().sum(dim=1, dtype=torch.float32).to(rows.dtype)


def _blocks(features: Float[Tensor, "n d"]) -> Iterator[tuple[int, Float[Tensor, "b d"]]]:
    for start in range(0, len(features), BLOCK_ROWS):
        yield start, features[start : start + BLOCK_ROWS]
