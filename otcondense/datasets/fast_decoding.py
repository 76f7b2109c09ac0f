"""From the bytes of an image file to 8-bit pixels as a tensor: JPEG by torchvision, others by PIL.

Both use libjpeg-turbo, so a JPEG file has the same pixels either way. torchvision writes them
straight into the tensor, without Python's lock.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image, ImageFile
from torch import Tensor

from otcondense.datasets.colours import converted, orientation
from otcondense.datasets.decoding import JPEG, opened

FAST_MODES: dict[int, tuple[str, ...]] = {1: ("L",), 3: ("L", "RGB")}
"""Modes of JPEG files that torchvision decodes, by the wanted channels. Pillow converts the others:
CMYK, and colours to grey."""
GREY, COLOURS, AS_STORED = 1, 3, 0
"""Modes of torchvision's operators, the values of its `ImageReadMode`."""
UPRIGHT: dict[int, Callable[[Tensor], Tensor]] = {
    2: lambda pixels: pixels.flip(2),
    3: lambda pixels: pixels.flip(1, 2),
    4: lambda pixels: pixels.flip(1),
    5: lambda pixels: pixels.transpose(1, 2),
    6: lambda pixels: pixels.rot90(-1, (1, 2)),
    7: lambda pixels: pixels.transpose(1, 2).flip(1, 2),
    8: lambda pixels: pixels.rot90(1, (1, 2)),
}
"""How pixels [c, h, w] are turned upright, by the EXIF orientation."""


def decode_pixels(data: bytes, *, channels: int, max_pixels: int) -> UInt8[Tensor, "c h w"]:
    """Decode an image as `otcondense.datasets.decode_image` does, to a tensor on the CPU.

    Any number of threads may call it at once: most of the work is done without Python's lock.

    Raises: UnreadableImageError with the reason, also for images of more than `max_pixels`.
    """
    assert channels in (1, 3)
    with opened(data, max_pixels) as image:
        if image.format in JPEG and image.mode in FAST_MODES[channels]:
            pixels = _decode_jpeg(data, image)
            if pixels is not None:
                return pixels.expand(channels, -1, -1)
        return image_pixels(converted(image, "L" if channels == 1 else "RGB"))


def image_pixels(image: Image.Image) -> UInt8[Tensor, "c h w"]:
    """Return the pixels of a grey or RGB image."""
    pixels = torch.from_numpy(np.array(image))
    return pixels[None] if pixels.dim() == 2 else pixels.permute(2, 0, 1)


def with_channels(pixels: UInt8[Tensor, "k h w"], channels: int) -> UInt8[Tensor, "c h w"]:
    """Return grey or RGB pixels with 1 or 3 channels, converted as files are."""
    if len(pixels) == channels:
        return pixels
    if len(pixels) == 1:
        return pixels.expand(channels, -1, -1)
    colours = np.ascontiguousarray(pixels.permute(1, 2, 0).numpy())
    return image_pixels(Image.fromarray(colours).convert("L"))


def jpeg_operator(name: str) -> Callable[..., Any] | None:
    """Return an operator of torchvision's JPEG decoders, None if this torchvision has none.

    The operator is called itself, since torchvision's function around it warns at every call that
    it will go; the pixels without it are the same.
    """
    import torchvision.io  # noqa: F401  (registers the operators)

    return getattr(torch.ops.image, name, None)


def _decode_jpeg(data: bytes, image: ImageFile.ImageFile) -> UInt8[Tensor, "k h w"] | None:
    """Return the upright pixels of a JPEG file, None if torchvision cannot decode it.

    Pillow then says what is wrong, or decodes it.
    """
    decode = jpeg_operator("decode_jpeg")
    if decode is None:
        return None
    try:
        pixels: Tensor = decode(as_tensor(data), GREY if image.mode == "L" else COLOURS)
    except RuntimeError:
        return None
    if pixels.shape[1:] != (image.height, image.width):
        return None
    turn = UPRIGHT.get(orientation(image))
    return pixels if turn is None else turn(pixels)


def as_tensor(data: bytes) -> UInt8[Tensor, " n"]:
    """Return bytes as torchvision's decoders take them."""
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
