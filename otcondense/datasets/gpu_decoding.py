"""JPEG files decoded by nvJPEG on a GPU, many in one call; every other file on the CPU.

nvJPEG's colours differ from libjpeg-turbo's by a few levels, and by GPU. Which files are refused
does not: their headers are checked as for the CPU, and what nvJPEG does not decode the CPU judges.
"""

from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from otcondense.datasets.colours import orientation
from otcondense.datasets.decoding import JPEG, opened
from otcondense.datasets.fast_decoding import (
    AS_STORED,
    FAST_MODES,
    UPRIGHT,
    as_tensor,
    decode_pixels,
    jpeg_operator,
)
from otcondense.datasets.metadata import is_whole_jpeg
from otcondense.datasets.unreadable import UnreadableImageError

Decoded = UInt8[Tensor, "c h w"] | UnreadableImageError
"""The pixels of one file, or why it has none."""


@dataclass(frozen=True)
class _Header:
    """What is known of a JPEG file before it is decoded."""

    size: tuple[int, int]
    """Height and width as the file lies."""
    orientation: int


def decode_batch(
    files: list[bytes], *, channels: int, max_pixels: int, device: torch.device
) -> list[Decoded]:
    """Decode image files as `decode_pixels` does, those of JPEG on `device`, a GPU.

    Returns: for each file its pixels, those of JPEG files on `device`, or the error that
        `decode_pixels` raises.
    """
    headers = [_header(data, channels, max_pixels) for data in files]
    whole = [row for row, header in enumerate(headers) if header is not None]
    found: dict[int, Tensor] = {}
    for row, pixels in zip(whole, _nvjpeg([files[row] for row in whole], device), strict=True):
        header = headers[row]
        assert header is not None
        if pixels is not None and pixels.shape[1:] == header.size:
            turn = UPRIGHT.get(header.orientation)
            found[row] = (pixels if turn is None else turn(pixels)).expand(channels, -1, -1)
    decoded: list[Decoded] = []
    for row, data in enumerate(files):
        decoded.append(found[row] if row in found else _on_cpu(data, channels, max_pixels))
    return decoded


def _header(data: bytes, channels: int, max_pixels: int) -> _Header | None:
    """Return the header of a file that nvJPEG may decode, None for others and damaged ones.

    nvJPEG accepts files that end too early, so these are left to the CPU, which refuses them.
    """
    try:
        with opened(data, max_pixels) as image:
            if image.format not in JPEG or image.mode not in FAST_MODES[channels]:
                return None
            if not is_whole_jpeg(data):
                return None
            return _Header((image.height, image.width), orientation(image))
    except UnreadableImageError:
        return None


def _nvjpeg(files: list[bytes], device: torch.device) -> list[UInt8[Tensor, "k h w"] | None]:
    """Return the pixels of each file, None if nvJPEG cannot decode it.

    One such file fails the whole call, so each is then tried alone.
    """
    decode = jpeg_operator("decode_jpegs_cuda")
    if decode is None or not files:
        return [None] * len(files)
    try:
        found: list[Tensor | None] = decode([as_tensor(data) for data in files], AS_STORED, device)
    except RuntimeError:
        if len(files) == 1:
            return [None]
        return [_nvjpeg([data], device)[0] for data in files]
    return found


def _on_cpu(data: bytes, channels: int, max_pixels: int) -> Decoded:
    try:
        return decode_pixels(data, channels=channels, max_pixels=max_pixels)
    except UnreadableImageError as error:
        return error
