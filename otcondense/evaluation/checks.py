"""Checks of features and images before anything is computed from them."""

import math
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from numpy.typing import NDArray
from torch import Tensor

from otcondense.errors import InputError

ArrayOrTensor = Tensor | NDArray[Any]
"""Features of a public function: [n, d], one row per image, torch or numpy."""

LARGEST_FLOAT64 = 1e151
"""Largest feature, and the inverse of the smallest largest one: sums of their squares are finite,
and differences of a thousandth still have a square."""

LARGEST_FLOAT32 = 1e15
"""The same for float32; other features are converted to float64."""


def as_features(name: str, values: ArrayOrTensor, minimum: int = 1) -> Float[Tensor, "n d"]:
    """Return `values` as a finite float32 or float64 tensor of at least `minimum` rows.

    It stays on its device. float32 stays float32, so that large sets are not copied; the metrics
    compute in float64. Any other type becomes float64.

    Raises: InputError naming the set, the expected and the found shape, type, count or row.
    """
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    if tensor.is_complex() or tensor.dtype == torch.bool:
        raise InputError(f"features of {name} must be real numbers, found {tensor.dtype}")
    if tensor.ndim != 2 or tensor.shape[1] == 0:
        raise InputError(
            f"features of {name} must have shape [images, dimensions], found {tuple(tensor.shape)}"
        )
    _check_count(name, len(tensor), minimum)
    tensor = tensor.detach()
    if tensor.dtype != torch.float32:
        tensor = tensor.to(torch.float64)

    low, high = torch.aminmax(tensor)
    largest = max(abs(float(low)), abs(float(high)))
    if not math.isfinite(largest):
        finite = tensor.isfinite().all(dim=1)
        first = int((~finite).nonzero()[0, 0])
        raise InputError(
            f"features of {name} must be finite, found NaN or infinity in {int((~finite).sum())} "
            f"of {len(tensor)} rows, the first in row {first}; "
            "check that image and the weights of the encoder"
        )
    return _with_room_for_squares(name, tensor, largest)


def _with_room_for_squares(
    name: str, tensor: Float[Tensor, "n d"], largest: float
) -> Float[Tensor, "n d"]:
    """Return features whose squares neither overflow nor vanish, in float64 if they need it.

    Raises: InputError if not even float64 holds the squares.
    """
    if largest == 0:
        return tensor
    if not 1 / LARGEST_FLOAT64 <= largest <= LARGEST_FLOAT64:
        raise InputError(
            f"features of {name} must be between {1 / LARGEST_FLOAT64:.0e} and "
            f"{LARGEST_FLOAT64:.0e}, found {largest:.0e} as the largest; "
            "multiply all features by a constant"
        )
    if not 1 / LARGEST_FLOAT32 <= largest <= LARGEST_FLOAT32:
        return tensor.to(torch.float64)
    return tensor


def as_feature_pair(
    first: tuple[str, ArrayOrTensor], second: tuple[str, ArrayOrTensor], minimum: int = 1
) -> tuple[Float[Tensor, "n d"], Float[Tensor, "m d"]]:
    """Return two feature sets of the same encoder, each checked by `as_features`.

    Raises: InputError if one is invalid or their dimensions differ.
    """
    one = as_features(*first, minimum)
    two = as_features(*second, minimum)
    if one.shape[1] != two.shape[1]:
        raise InputError(
            f"features of {first[0]} and {second[0]} must come from one encoder, "
            f"found {one.shape[1]} and {two.shape[1]} dimensions"
        )
    if one.dtype != two.dtype:
        return one.to(torch.float64), two.to(torch.float64)
    return one, two


def as_images(name: str, values: ArrayOrTensor, minimum: int = 1) -> UInt8[Tensor, "n c h w"]:
    """Return `values` as a uint8 tensor of images.

    Raises: InputError naming the set, the expected and the found type, shape or count; for floats
        also their range.
    """
    tensor = values if isinstance(values, Tensor) else torch.as_tensor(np.asarray(values))
    if tensor.dtype != torch.uint8:
        raise InputError(
            f"images of {name} must be uint8 in 0..255, found {_describe(tensor)}; "
            "scale and round them first"
        )
    if tensor.ndim != 4 or tensor.shape[1] not in (1, 3):
        raise InputError(
            f"images of {name} must have shape [images, 1 or 3 channels, height, width], "
            f"found {tuple(tensor.shape)}"
        )
    _check_count(name, len(tensor), minimum)
    return tensor


def _check_count(name: str, found: int, minimum: int) -> None:
    if found < minimum:
        raise InputError(
            f"{name} must hold at least {minimum} images for these metrics, found {found}; "
            "add images"
        )


def _describe(tensor: Tensor) -> str:
    if tensor.numel() == 0 or tensor.is_complex():
        return str(tensor.dtype)
    return f"{tensor.dtype} between {float(tensor.min()):.4g} and {float(tensor.max()):.4g}"
