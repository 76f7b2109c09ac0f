"""The protocol of ADM's evaluator, by which the field's figures on ImageNet are made, without TensorFlow.

Source: Dhariwal & Nichol 2021 (arXiv:2105.05233), section 2.2, and the public reference files VIRTUAL_imagenet256_labeled.npz and
VIRTUAL_imagenet512.npz.
"""

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation.checks import ArrayOrTensor, as_feature_pair, as_features
from otcondense.evaluation.fidelity import warn_of_sorted
from otcondense.evaluation.frechet import (
    FeatureStatistics,
    feature_statistics,
    frechet_distance_of_statistics,
)
from otcondense.evaluation.manifold import PrecisionRecall, precision_recall

CHUNK_IMAGES = 5000
"""Images of a part of the Inception Score, in the order of the file."""
BLOCK_ROWS = 10_000
"""Rows and columns of a block of distances, which is in half precision where all of it is finite."""
NEIGHBOURS = 3
STATISTICS = (("mu", "sigma"), ("mu_s", "sigma_s"))


@dataclass(frozen=True)
class AdmReference:
    """What a reference file holds."""

    pool: FeatureStatistics
    """Of the pool_3 features of the whole training set."""
    spatial: FeatureStatistics | None
    """Of the spatial features, for sFID."""
    path: str

    def images(self, batch: int = 512) -> Iterator[UInt8[Tensor, "b c h w"]]:
        """Yield the reference images, for precision and recall, in order."""
        yield from npz_images(self.path, batch)


@dataclass(frozen=True)
class AdmSamples:
    """What Inception gives for images in the order of their file."""

    pool: Float[Tensor, "n d"]
    logits: Float[Tensor, "n c"]
    spatial: Float[Tensor, "n s"] | None = None


def read_reference(path: str) -> AdmReference:
    """Read the statistics of a reference file.

    Raises: InputError if the file is missing, damaged, or lacks mu and sigma.
    """
    try:
        _refuse_false_sizes(path)
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in ("mu", "sigma") if name not in file]
            if missing:
                raise InputError(
                    f"{path} must hold mu and sigma, found {', '.join(file.files)}; take one of ADM's reference files"
                )
            found = [
                _statistics(file, *names) if names[0] in file else None for names in STATISTICS
            ]
    except InputError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"{path} must be an .npz file with ADM's statistics, found {type(error).__name__}: {error}"
        ) from error
    assert found[0] is not None
    return AdmReference(pool=found[0], spatial=found[1], path=path)


def _refuse_false_sizes(path: str) -> None:
    """Refuse arrays that claim to be larger than they are, which numpy would take memory for.

    Raises: ValueError naming the array, and what `zipfile` and numpy raise for what is none.
    """
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                shape, dtype = _header(file)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(
                    f"{member.filename} claims {dtype} {shape} and holds {member.file_size} bytes"
                )


def _header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Read the header of an .npy file that is open for reading, up to its data; arrays in Fortran's order count as of no shape."""
    version = np.lib.format.read_magic(file)
    read = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, is_fortran, dtype = read(file)
    return (() if is_fortran else shape), dtype


def _statistics(file: Any, mean: str, covariance: str) -> FeatureStatistics:
    # The public files mix float32 and float64.
    mu, sigma = (
        torch.from_numpy(np.asarray(file[name], dtype=np.float64)) for name in (mean, covariance)
    )
    if (
        mu.ndim != 1
        or sigma.shape != (len(mu), len(mu))
        or not (mu.isfinite().all() and sigma.isfinite().all())
    ):
        raise InputError(
            f"{mean} and {covariance} must be finite of shapes [d] and [d, d], found {tuple(mu.shape)} and {tuple(sigma.shape)}"
        )
    return FeatureStatistics(mean=mu, covariance=sigma, count=0)


def npz_images(path: str, batch: int = 512) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield the images of an .npz file (arr_0, [n, h, w, c] uint8) a part at a time: the file is never in memory as a whole.

    Raises: InputError if the file is missing or damaged, or its images are not such.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as file:
            shape, dtype = _header(file)
            if dtype != np.uint8 or len(shape) != 4 or shape[3] not in (1, 3):
                raise InputError(
                    f"arr_0 of {path} must be uint8 of shape [n, height, width, 1 or 3], found {dtype} {shape}"
                )
            row = math.prod(shape[1:])
            if row * shape[0] > archive.getinfo("arr_0.npy").file_size:
                raise InputError(
                    f"{path} claims {shape[0]} images of {shape[1:]} in arr_0 and does not hold them; fetch or write it again"
                )
            for start in range(0, shape[0], batch):
                count = min(batch, shape[0] - start)
                data = file.read(count * row)
                if len(data) != count * row:
                    raise InputError(
                        f"{path} ends after {start} of {shape[0]} images; fetch or write it again"
                    )
                images = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(
                    count, *shape[1:]
                )
                yield images.permute(0, 3, 1, 2).contiguous()
    except InputError:
        raise
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"{path} must be an .npz file with images in arr_0, found {type(error).__name__}: {error}"
        ) from error


def adm_metrics(
    samples: AdmSamples,
    reference: AdmReference,
    images: ArrayOrTensor | None = None,
    *,
    half: bool = True,
) -> dict[str, float]:
    """Return adm_fid, adm_sfid, adm_inception_score and, with reference images, adm_precision and adm_recall.

    Args:
        samples: what Inception gave, in the order of the file.
        reference: statistics of the reference.
        images: [m, 2048] pool_3 features of the reference's images; None leaves precision and recall out.
        half: distances in half precision where a block of them stays finite, as ADM's evaluator has them: its precision and recall are
            some tenths of a point larger for it. False computes them exactly.

    Raises: InputError for unfit features.
    """
    values = {
        "adm_fid": frechet_distance_of_statistics(
            feature_statistics(samples.pool, "the samples"), reference.pool
        ),
        "adm_inception_score": inception_score_in_order(samples.logits),
    }
    if samples.spatial is not None and reference.spatial is not None:
        spatial = feature_statistics(samples.spatial, "the samples (spatial)")
        values["adm_sfid"] = frechet_distance_of_statistics(spatial, reference.spatial)
    if images is not None:
        found = (
            half_precision_recall(samples.pool, images)
            if half
            else precision_recall(samples.pool, images, NEIGHBOURS)
        )
        values |= {"adm_precision": found.precision, "adm_recall": found.recall}
    return values


def inception_score_in_order(logits: ArrayOrTensor) -> float:
    """Return the mean Inception Score over parts of 5,000 samples in their order, the last part as long as it is.

    Warns where the order is by class.
    """
    rows = as_features("the samples' logits", logits, 2)
    warn_of_sorted(rows.argmax(dim=1))
    scores = []
    for part in torch.split(rows, CHUNK_IMAGES):
        logs = part.double().log_softmax(dim=1)
        shares = logs.exp()
        scores.append(float((shares * (logs - shares.mean(dim=0).log())).sum(dim=1).mean().exp()))
    return float(np.mean(scores))


def half_precision_recall(
    samples: ArrayOrTensor, reference: ArrayOrTensor, neighbours: int = NEIGHBOURS
) -> PrecisionRecall:
    """Return precision and recall from distances in half precision: for comparison with published figures, not for anything else.

    Arguments and errors as for `precision_recall`.
    """
    one, two = as_feature_pair(
        ("the samples", samples), ("the reference", reference), neighbours + 1
    )
    one, two = one.float(), two.float()
    sample_radii, real_radii = _half_radii(one, neighbours), _half_radii(two, neighbours)
    precise, recalled = (
        torch.zeros(len(one), dtype=torch.bool),
        torch.zeros(len(two), dtype=torch.bool),
    )
    for first, rows in _blocks(one):
        for second, others in _blocks(two):
            squared = _half_distances(rows, others)
            here, there = slice(first, first + len(rows)), slice(second, second + len(others))
            precise[here] |= (squared <= real_radii[there]).any(dim=1).cpu()
            recalled[there] |= (squared <= sample_radii[here, None]).any(dim=0).cpu()
    return PrecisionRecall(float(precise.double().mean()), float(recalled.double().mean()))


def _half_radii(features: Float[Tensor, "n d"], neighbours: int) -> Float[Tensor, " n"]:
    """Return the squared distance to the k-th nearest other image; the image itself counts as the nearest of all."""
    radii = []
    for _, rows in _blocks(features):
        nearest = [
            _half_distances(rows, others)
            .topk(min(neighbours + 1, len(others)), largest=False)
            .values
            for _, others in _blocks(features)
        ]
        radii.append(torch.cat(nearest, dim=1).kthvalue(neighbours + 1, dim=1).values)
    return torch.cat(radii)


def _half_distances(
    rows: Float[Tensor, "a d"], others: Float[Tensor, "b d"]
) -> Float[Tensor, "a b"]:
    half = _expanded(*(each.half() for each in (rows, others)))
    return half.float() if half.isfinite().all() else _expanded(rows, others)


def _expanded(rows: Tensor, others: Tensor) -> Tensor:
    """Return squared distances; products are summed in single precision and rounded, as matrix units do."""
    product = (rows.float() @ others.float().T).to(rows.dtype)
    norms = [
        each.square().sum(dim=1, dtype=torch.float32).to(rows.dtype) for each in (rows, others)
    ]
    return (norms[0][:, None] - 2 * product + norms[1]).clamp_min(0)


def _blocks(features: Float[Tensor, "n d"]) -> Iterator[tuple[int, Float[Tensor, "b d"]]]:
    for start in range(0, len(features), BLOCK_ROWS):
        yield start, features[start : start + BLOCK_ROWS]
