"""The protocol of ADM's evaluator, which papers on ImageNet use, without TensorFlow.

Source: Dhariwal & Nichol 2021 (arXiv:2105.05233), section 2.2, and the public reference files
VIRTUAL_imagenet256_labeled.npz and VIRTUAL_imagenet512.npz.
"""

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.errors import InputError
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
READ_IMAGES = 512
"""Images of an .npz file that are in memory at a time."""
CHANNELS = (1, 3)
"""Channels of grey and of RGB images."""
NPY_FORMAT_1 = (1, 0)


@dataclass(frozen=True)
class AdmReference:
    """The statistics in a reference file, and access to its images."""

    pool: FeatureStatistics
    """Of the pool_3 features of the whole training set."""
    spatial: FeatureStatistics | None
    """Of the spatial features, for sFID."""
    path: str

    def images(self, batch: int = READ_IMAGES) -> Iterator[UInt8[Tensor, "b c h w"]]:
        """Yield the reference images, for precision and recall, in order."""
        yield from npz_images(self.path, batch)


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
    return frechet_distance_of_statistics(statistics, sets.reference.pool)


def adm_sfid(sets: AdmSets) -> float | None:
    """Return the Fréchet distance of spatial features; None if either side has none."""
    if sets.samples.spatial is None or sets.reference.spatial is None:
        return None
    statistics = feature_statistics(sets.samples.spatial, "the samples (spatial)")
    return frechet_distance_of_statistics(statistics, sets.reference.spatial)


def adm_inception_score(sets: AdmSets) -> float:
    """Return the Inception Score over parts of 5,000 samples in file order."""
    return inception_score_in_order(sets.samples.logits)


def adm_precision(sets: AdmSets) -> float | None:
    """Return precision against the reference images; None without them."""
    return None if sets.precision_recall is None else sets.precision_recall.precision


def adm_recall(sets: AdmSets) -> float | None:
    """Return recall against the reference images; None without them."""
    return None if sets.precision_recall is None else sets.precision_recall.recall


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
                    f"{path} must hold mu and sigma, found {', '.join(file.files)}; "
                    "take one of ADM's reference files"
                )
            pool = _statistics(file, "mu", "sigma")
            spatial = _statistics(file, "mu_s", "sigma_s") if "mu_s" in file else None
    except InputError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"{path} must be an .npz file with ADM's statistics, "
            f"found {type(error).__name__}: {error}"
        ) from error
    return AdmReference(pool=pool, spatial=spatial, path=path)


def _refuse_false_sizes(path: str) -> None:
    """Refuse arrays that claim to be larger than they are: numpy would allocate memory for them.

    Raises: ValueError naming the array; errors of `zipfile` and numpy for files of other formats.
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
    """Read the header of an open .npy file, up to its data.

    Arrays in Fortran order get an empty shape: nobody writes images that way.
    """
    if np.lib.format.read_magic(file) == NPY_FORMAT_1:
        shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    else:
        shape, is_fortran, dtype = np.lib.format.read_array_header_2_0(file)
    return (() if is_fortran else shape), dtype


def _statistics(file: Any, mean: str, covariance: str) -> FeatureStatistics:
    # The public files mix float32 and float64.
    mu = torch.from_numpy(np.asarray(file[mean], dtype=np.float64))
    sigma = torch.from_numpy(np.asarray(file[covariance], dtype=np.float64))

    fits = mu.ndim == 1 and sigma.shape == (len(mu), len(mu))
    if not (fits and mu.isfinite().all() and sigma.isfinite().all()):
        raise InputError(
            f"{mean} and {covariance} must be finite of shapes [d] and [d, d], "
            f"found {tuple(mu.shape)} and {tuple(sigma.shape)}"
        )
    return FeatureStatistics(mean=mu, covariance=sigma, count=0)


def npz_images(path: str, batch: int = READ_IMAGES) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield the images of an .npz file (arr_0, [n, h, w, c] uint8), one part at a time.

    The file is never in memory as a whole.

    Raises: InputError if the file is missing or damaged, or its images have another form.
    """
    try:
        with zipfile.ZipFile(path) as archive, archive.open("arr_0.npy") as file:
            shape = _image_shape(path, file, archive.getinfo("arr_0.npy").file_size)
            yield from _image_parts(path, file, shape, batch)
    except InputError:
        raise
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise InputError(
            f"{path} must be an .npz file with images in arr_0, "
            f"found {type(error).__name__}: {error}"
        ) from error


def _image_shape(path: str, file: Any, file_size: int) -> tuple[int, ...]:
    """Read the header of an array of images.

    Raises: InputError if it is none, or larger than its file.
    """
    shape, dtype = _header(file)
    if dtype != np.uint8 or len(shape) != 4 or shape[3] not in CHANNELS:
        raise InputError(
            f"arr_0 of {path} must be uint8 of shape [n, height, width, 1 or 3], "
            f"found {dtype} {shape}"
        )
    if math.prod(shape) > file_size:
        raise InputError(
            f"{path} claims {shape[0]} images of {shape[1:]} in arr_0 and does not hold them; "
            "fetch or write it again"
        )
    return shape


def _image_parts(
    path: str, file: Any, shape: tuple[int, ...], batch: int
) -> Iterator[UInt8[Tensor, "b c h w"]]:
    num_images = shape[0]
    image_bytes = math.prod(shape[1:])
    for start in range(0, num_images, batch):
        count = min(batch, num_images - start)
        data = file.read(count * image_bytes)
        if len(data) != count * image_bytes:
            raise InputError(
                f"{path} ends after {start} of {num_images} images; fetch or write it again"
            )
        images = torch.frombuffer(bytearray(data), dtype=torch.uint8).view(count, *shape[1:])
        yield images.permute(0, 3, 1, 2).contiguous()


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

    precise = torch.zeros(len(one), dtype=torch.bool)
    recalled = torch.zeros(len(two), dtype=torch.bool)
    for first, rows in _blocks(one):
        here = slice(first, first + len(rows))
        for second, others in _blocks(two):
            there = slice(second, second + len(others))
            squared = _half_distances(rows, others)
            precise[here] |= (squared <= real_radii[there]).any(dim=1).cpu()
            recalled[there] |= (squared <= sample_radii[here, None]).any(dim=0).cpu()
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
