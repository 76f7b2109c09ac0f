"""Latents of images, and images of latents, by an autoencoder of diffusers."""

from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.devices import resolve_device
from otcondense.representations.autoencoder import Autoencoder, load_autoencoder
from otcondense.representations.latent_config import LatentConfig

__all__ = ["LatentConfig", "LatentDecoder", "LatentModel"]

PIXELS_AT_ONCE = 16 * 256 * 256
"""Pixels that a GPU decodes at once.

The widest layers of Stable Diffusion's decoder hold 256 float32 channels at full size, and a few
such tensors at a time: about 5 GB.
"""


class LatentModel:
    """An autoencoder in float32.

    It returns `mean` and, if the autoencoder has a posterior, `std` as float16
    [b, c, h/stride, w/stride], in the autoencoder's units. A latent for training is
    (mean + std * noise - shift_factor) * scaling_factor; the shift is 0 for most models.

    Raises: InputError if the model is neither a local folder nor can be downloaded, or its images
        do not come back in `image_size`.
    """

    def __init__(self, config: LatentConfig) -> None:
        self._autoencoder = load_autoencoder(config.model)
        self._autoencoder.check_side(config.image_size)
        self.sha256 = self._autoencoder.sha256
        self.facts: dict[str, Any] = {**self._autoencoder.scaling}
        self.device = torch.device(resolve_device(config.device))
        self._autoencoder.model.to(self.device)

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """Return `mean` and `std` of the posterior of each image, or `mean` alone."""
        found = self._autoencoder.encode(pixels.to(self.device).float())
        return {name: values.half() for name, values in found.items()}


class LatentDecoder:
    """The decoder of the same autoencoder: from sampled latents to images in [-1, 1]."""

    def __init__(self, config: LatentConfig) -> None:
        self._autoencoder: Autoencoder = load_autoencoder(config.model)
        self.sha256 = self._autoencoder.sha256
        scaling = self._autoencoder.scaling
        self._scale = scaling["scaling_factor"]
        self._shift = scaling["shift_factor"]
        self._device = resolve_device(config.device)
        self._autoencoder.model.to(self._device)
        if self._device != "cpu":
            self._autoencoder.model.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(
        self,
        latents: Float[Tensor, "b c h w"],
        precision: Literal["float32", "bfloat16"] = "float32",
    ) -> Float[Tensor, "b 3 height width"]:
        """Return the images in float32.

        Decoding takes much memory: a GPU gets `PIXELS_AT_ONCE`, the CPU one image after another.

        Args:
            latents: scaled, as the model samples them.
            precision: arithmetic of the decoder on a GPU; on the CPU it is float32.
        """
        values = latents.to(self._device).float() / self._scale + self._shift
        if self._device == "cpu":
            return self._decoded(values, 1, rounded=False)
        together = self._images_at_once(latents)
        return self._decoded(values, together, rounded=precision == "bfloat16")

    def _decoded(self, values: Tensor, together: int, *, rounded: bool) -> Tensor:
        """Return the images of the autoencoder's latents, `together` at a time."""
        with torch.autocast(self._device, dtype=torch.bfloat16, enabled=rounded):
            images = [self._autoencoder.decode(part) for part in torch.split(values, together)]
        return torch.cat(images).float()

    def _images_at_once(self, latents: Float[Tensor, "b c h w"]) -> int:
        pixels = latents.shape[2] * latents.shape[3] * self._autoencoder.stride**2
        return max(1, PIXELS_AT_ONCE // pixels)
