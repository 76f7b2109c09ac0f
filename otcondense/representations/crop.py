"""The crop that diffusion models on ImageNet are trained with."""

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor


def adm_center_crop(image: Image.Image, size: int) -> UInt8[Tensor, "3 size size"]:
    """Return the centre square of an RGB image, scaled to `size` pixels, 8 bits a channel.

    While the short side is at least twice `size`, the image is halved by box averaging. Then
    bicubic interpolation scales the short side to `size`, and the middle of the long side is kept.

    Source: the preprocessing of ADM (Dhariwal and Nichol 2021), which DiT and SiT share.
    """
    while min(image.size) >= 2 * size:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = size / min(image.size)
    scaled = (round(image.width * scale), round(image.height * scale))
    image = image.resize(scaled, Image.Resampling.BICUBIC)
    left = (image.width - size) // 2
    top = (image.height - size) // 2
    pixels = np.asarray(image.crop((left, top, left + size, top + size)))
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
