"""Posterior moments of a variational autoencoder; training draws latents from them."""

from typing import Any, Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.devices import resolve_device
from otcondense.errors import InputError
from otcondense.representations.image_model import tensors_sha256
from otcondense.representations.latent_config import LatentConfig

__all__ = ["LatentConfig", "LatentDecoder", "LatentModel"]

HALF_RANGE = 127.5
"""Half of the largest 8-bit value: pixels / 127.5 - 1 are in [-1, 1]."""
MOMENTS = ("mean", "std")
PIXELS_AT_ONCE = 16 * 256 * 256
"""Pixels that a GPU decodes at once.

The widest layers of Stable Diffusion's decoder hold 256 float32 channels at full size, and a few
such tensors at a time: about 5 GB.
"""


class LatentModel:
    """An AutoencoderKL in float32.

    It returns `mean` and `std` as float16 [b, c, h/8, w/8], not scaled. A latent for training is
    (mean + std * noise - shift_factor) * scaling_factor; the shift is 0 for most models.

    Raises: InputError if the model is neither a local folder nor can be downloaded.
    """

    def __init__(self, config: LatentConfig) -> None:
        model = _load(config)
        self.sha256 = tensors_sha256(model)
        self.facts: dict[str, Any] = {
            "scaling_factor": float(model.config.scaling_factor),
            "shift_factor": float(model.config.shift_factor or 0.0),
        }
        self.device = torch.device(resolve_device(config.device))
        self._model = model.to(self.device)

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """Return `mean` and `std` of the posterior of each image."""
        images = pixels.to(self.device).float() / HALF_RANGE - 1
        posterior = self._model.encode(images).latent_dist
        return {name: getattr(posterior, name).half() for name in MOMENTS}


class LatentDecoder:
    """The decoder of the same autoencoder: from sampled latents to images in [-1, 1]."""

    def __init__(self, config: LatentConfig) -> None:
        model = _load(config)
        self.sha256 = tensors_sha256(model)
        self._scale = float(model.config.scaling_factor)
        self._shift = float(model.config.shift_factor or 0.0)
        self._device = resolve_device(config.device)
        self._model = model.to(self._device)
        if self._device != "cpu":
            self._model.to(memory_format=torch.channels_last)

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
            images = [self._model.decode(part).sample for part in torch.split(values, together)]
        return torch.cat(images).float()

    def _images_at_once(self, latents: Float[Tensor, "b c h w"]) -> int:
        stride: int = 2 ** (len(self._model.config.block_out_channels) - 1)
        pixels = latents.shape[2] * latents.shape[3] * stride**2
        return max(1, PIXELS_AT_ONCE // pixels)


def _load(config: LatentConfig) -> Any:
    """Return the frozen autoencoder.

    Raises: InputError if it is neither a local folder nor can be downloaded.
    """
    from diffusers import AutoencoderKL

    try:
        load: Any = AutoencoderKL.from_pretrained
        model = load(config.model, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            "latents.model must be an AutoencoderKL on the hub, or its local folder with "
            f".safetensors weights, found {config.model} ({reason}); "
            "download it on a machine with a network and set its folder"
        ) from error
    return model.eval().requires_grad_(requires_grad=False)
