"""ADM's .npz files: the statistics of a reference, and images, read a part at a time.

Source: the public reference files VIRTUAL_imagenet256_labeled.npz and VIRTUAL_imagenet512.npz.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense import npy
from otcondense.errors import InputError
from otcondense.evaluation.frechet import FeatureStatistics
from otcondense.reading import DAMAGED_ARCHIVE, open_regular

READ_IMAGES = 512
"""Images of an .npz file that are in memory at a time."""
CHANNELS = (1, 3)
"""Channels of grey and of RGB images."""
LARGEST_IMAGE = 2**24
"""Pixels of an image of an .npz file: 4096 by 4096, far more than models draw."""
PART_BYTES = 2**27
"""Bytes of images of an .npz file that are in memory at a time."""
STATISTICS = ("mu", "sigma", "mu_s", "sigma_s")
"""Arrays of a reference file: of the pool_3 features, and of the spatial ones."""
LARGEST_WIDTH = 4096
"""Largest number of features: Inception has 2048, and 2023 spatial ones."""
SUFFIX = ".npy"
NAMES_SHOWN = 5


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


def read_reference(path: str) -> AdmReference:
    """Read the statistics of a reference file.

    Raises: InputError if the file is missing, damaged, or lacks mu and sigma.
    """
    arrays: dict[str, np.ndarray] = {}
    with _archive(path, "ADM's statistics") as archive:
        names = set(archive.namelist())
        for name in STATISTICS:
            if f"{name}{SUFFIX}" in names:
                arrays[name] = _read_statistic(archive, name)
    missing = [name for name in ("mu", "sigma") if name not in arrays]
    if missing:
        found = ", ".join(sorted(names)[:NAMES_SHOWN]) or "nothing"
        raise InputError(
            f"{path} must hold mu and sigma, found {found}; take one of ADM's reference files"
        )
    pool = _statistics(arrays, "mu", "sigma")
    has_spatial = {"mu_s", "sigma_s"} <= arrays.keys()
    spatial = _statistics(arrays, "mu_s", "sigma_s") if has_spatial else None
    return AdmReference(pool=pool, spatial=spatial, path=path)


@contextmanager
def _archive(path: str, content: str) -> Iterator[zipfile.ZipFile]:
    """Open an .npz file.

    Raises: InputError that says what it must hold, if it is missing or damaged.
    """
    try:
        with open_regular(path) as opened, zipfile.ZipFile(opened) as archive:
            yield archive
    except InputError:
        raise
    except (OSError, KeyError, ValueError, *DAMAGED_ARCHIVE) as error:
        raise InputError(
            f"{path} must be an .npz file with {content}, found {type(error).__name__}: {error}"
        ) from error


def _read_statistic(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Return one array of statistics, which must be as small as those of a network.

    Raises: ValueError naming the array before memory is taken for a huge one.
    """
    with archive.open(f"{name}{SUFFIX}") as file:
        header = npy.read_header(file)
        is_small = all(length <= LARGEST_WIDTH for length in header.shape)
        if header.dtype.kind != "f" or len(header.shape) > 2 or not is_small:
            raise ValueError(
                f"{name} must be real numbers of shape [d] or [d, d], d at most {LARGEST_WIDTH}, "
                f"found {header.text}"
            )
        return npy.read_array(file, header)


def _statistics(arrays: dict[str, np.ndarray], mean: str, covariance: str) -> FeatureStatistics:
    # The public files mix float32 and float64.
    mu = torch.from_numpy(np.asarray(arrays[mean], dtype=np.float64))
    sigma = torch.from_numpy(np.asarray(arrays[covariance], dtype=np.float64))

    fits = mu.ndim == 1 and sigma.shape == (len(mu), len(mu))
    if not (fits and mu.isfinite().all() and sigma.isfinite().all()):
        raise InputError(
            f"{mean} and {covariance} must be finite of shapes [d] and [d, d], "
            f"found {tuple(mu.shape)} and {tuple(sigma.shape)}"
        )
    return FeatureStatistics(mean=mu, covariance=sigma, count=0)


def npz_images(path: str, batch: int = READ_IMAGES) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Yield the images of an .npz file (arr_0, [n, h, w, c] uint8), one part at a time.

    The file is never in memory as a whole, and parts of large images have fewer of them.

    Raises: InputError if the file is missing or damaged, or its images have another form.
    """
    with _archive(path, "images in arr_0") as archive, archive.open(f"arr_0{SUFFIX}") as file:
        shape = _image_shape(path, file)
        yield from _image_parts(path, file, shape, batch)


def npz_count(path: str) -> int:
    """Return the number of images of an .npz file.

    Raises: InputError as `npz_images` does.
    """
    with _archive(path, "images in arr_0") as archive, archive.open(f"arr_0{SUFFIX}") as file:
        return _image_shape(path, file)[0]


def _image_shape(path: str, file: Any) -> tuple[int, ...]:
    """Read the header of an array of images.

    Raises: InputError if it is none, or its images are huge.
    """
    header = npy.read_header(file)
    shape = header.shape
    if header.dtype != np.uint8 or len(shape) != 4 or shape[3] not in CHANNELS or header.is_fortran:
        raise InputError(
            f"arr_0 of {path} must be uint8 of shape [n, height, width, 1 or 3], "
            f"found {header.text}"
        )
    if shape[1] * shape[2] > LARGEST_IMAGE:
        raise InputError(
            f"images in arr_0 of {path} must have at most {LARGEST_IMAGE} pixels, found "
            f"{shape[1]}x{shape[2]}"
        )
    return shape


def _image_parts(
    path: str, file: Any, shape: tuple[int, ...], batch: int
) -> Iterator[UInt8[Tensor, "b c h w"]]:
    num_images = shape[0]
    image_bytes = math.prod(shape[1:])
    most = max(1, min(batch, PART_BYTES // image_bytes))
    for start in range(0, num_images, most):
        count = min(most, num_images - start)
        part = npy.Header((count, *shape[1:]), np.dtype(np.uint8), is_fortran=False)
        try:
            yield torch.from_numpy(npy.read_array(file, part)).permute(0, 3, 1, 2).contiguous()
        except ValueError as error:
            raise InputError(
                f"{path} ends after {start} of {num_images} images; fetch or write it again"
            ) from error
