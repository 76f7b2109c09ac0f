"""The transform from pixels of any size to a model's input: sizes as in timm.

timm resizes with PIL. torch's antialiased resize of 8-bit pixels has the same filters and weights
of 16 instead of 22 bits: it takes a fraction of the time, and some pixels differ by one level.
`TRANSFORM_VERSION` counts its changes.
"""

import math
from typing import Literal

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn.functional import interpolate, pad

BITS8 = 255
"""Largest value of 8 bits."""
MOST_ASPECT = 32
"""Long side of an image by its short side, above which its ends are cut off before the resize. No
crop of a model is as long; an image of one row would otherwise be resized to gigabytes."""
Interpolation = Literal["bilinear", "bicubic"]
CropMode = Literal["center", "squash", "border"]
Size = tuple[int, int]
"""Height and width in pixels."""


def scaled_size(size: Size, wanted: Size, crop_pct: float, crop_mode: CropMode) -> Size:
    """Return the size that an image is resized to before the centre crop.

    Args:
        size: of the image.
        wanted: of the model's input.
        crop_pct: share of the resized image that the crop keeps.
        crop_mode: center: the image covers wanted / crop_pct; squash: it gets exactly this size;
            border: it fits into this size.

    Source: timm's `transforms_imagenet_eval`, and torchvision's `Resize`, which rounds down.
    """
    target = (math.floor(wanted[0] / crop_pct), math.floor(wanted[1] / crop_pct))
    if crop_mode == "squash":
        return target
    if crop_mode == "center" and target[0] == target[1]:
        short = min(size)
        long = int(target[0] * max(size) / short)
        return (target[0], long) if size[0] == short else (long, target[0])
    ratios = (size[0] / target[0], size[1] / target[1])
    ratio = max(ratios) if crop_mode == "border" else min(ratios)
    return (max(1, round(size[0] / ratio)), max(1, round(size[1] / ratio)))


def without_ends(pixels: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "c h2 w2"]:
    """Return the middle of an image that is more than `MOST_ASPECT` times as long as wide."""
    height, width = pixels.shape[1:]
    longest = MOST_ASPECT * min(height, width)
    top, left = max(0, height - longest) // 2, max(0, width - longest) // 2
    return pixels[:, top : top + longest, left : left + longest]


def resize(
    pixels: UInt8[Tensor, "c h w"], size: Size, interpolation: Interpolation
) -> UInt8[Tensor, "c h2 w2"]:
    """Resize with antialiasing, rounded to 8 bits; the same bits on every CPU.

    On a GPU the resize is computed in float32.
    """
    if pixels.shape[1:] == size:
        return pixels
    batch = pixels[None] if pixels.device.type == "cpu" else pixels[None].float()
    resized = interpolate(batch, size=size, mode=interpolation, antialias=True)[0]
    return resized.round_().clamp_(0, BITS8).byte() if resized.is_floating_point() else resized


def center_crop(
    pixels: UInt8[Tensor, "c h w"], size: Size, fill: tuple[float, ...]
) -> UInt8[Tensor, "c h2 w2"]:
    """Return the centre of an image; where it is smaller than `size`, a border of colour `fill`.

    `fill` has one value of 0 to 1 for each channel.
    """
    missing = [max(0, wanted - found) for wanted, found in zip(size, pixels.shape[1:], strict=True)]
    if any(missing):
        pixels = _bordered(pixels, missing, fill)
    top = round((pixels.shape[1] - size[0]) / 2)
    left = round((pixels.shape[2] - size[1]) / 2)
    return pixels[:, top : top + size[0], left : left + size[1]].contiguous()


def _bordered(
    pixels: UInt8[Tensor, "c h w"], missing: list[int], fill: tuple[float, ...]
) -> UInt8[Tensor, "c h2 w2"]:
    """Return the image with a border of `missing` rows and columns, half on each side."""
    high, wide = missing
    sides = (wide // 2, (wide + 1) // 2, high // 2, (high + 1) // 2)
    planes = []
    for plane, level in zip(pixels, fill, strict=True):
        planes.append(pad(plane, sides, value=round(BITS8 * level)))
    return torch.stack(planes)
