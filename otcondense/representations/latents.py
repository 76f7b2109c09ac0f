"""Posterior moments of a variational autoencoder; training draws latents from them."""

from typing import Any

import numpy as np
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
        self._device = resolve_device(config.device)
        self._model = model.to(self._device)

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, np.ndarray]:
        """Return `mean` and `std` of the posterior of each image."""
        images = pixels.to(self._device).float() / HALF_RANGE - 1
        posterior = self._model.encode(images).latent_dist
        return {name: getattr(posterior, name).half().cpu().numpy() for name in MOMENTS}


class LatentDecoder:
    """The decoder of the same autoencoder: from sampled latents to images in [-1, 1]."""

    def __init__(self, config: LatentConfig) -> None:
        model = _load(config)
        self.sha256 = tensors_sha256(model)
        self._scale = float(model.config.scaling_factor)
        self._shift = float(model.config.shift_factor or 0.0)
        self._device = resolve_device(config.device)
        self._model = model.to(self._device)

    @torch.inference_mode()
    def __call__(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 height width"]:
        """Return the images; they are decoded one by one, since decoding takes much memory."""
        values = latents.to(self._device).float() / self._scale + self._shift
        images = [self._model.decode(value.unsqueeze(0)).sample for value in values]
        return torch.cat(images)


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
