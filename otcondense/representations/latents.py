"""Posterior moments of a variational autoencoder: mean and standard deviation, from which training draws again at each step."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.encoders.encoder import pick_device
from otcondense.errors import InputError
from otcondense.representations.image_model import RepresentationConfig, tensors_sha256

WHITE = 127.5


class LatentConfig(RepresentationConfig):
    """Which autoencoder turns images into latents, and how it is run."""

    model: str = "stabilityai/sd-vae-ft-ema"
    """Autoencoder (diffusers' AutoencoderKL): a name on the Hugging Face hub, or a local folder that save_pretrained wrote."""

    def weights(self) -> str | None:
        """Return the folder or name of the model."""
        return self.model


class LatentModel:
    """An AutoencoderKL in float32; gives `mean` and `std` as float16 [b, c, h/8, w/8], not scaled.

    A latent for training is (mean + std * noise) * scaling_factor, or (… - shift_factor) * scaling_factor where the
    model has a shift.

    Raises: InputError if the model is neither a local folder nor can be fetched.
    """

    def __init__(self, config: LatentConfig) -> None:
        model = _load(config)
        self.sha256 = tensors_sha256(model)
        self.facts: dict[str, Any] = {
            "scaling_factor": float(model.config.scaling_factor),
            "shift_factor": float(model.config.shift_factor or 0.0),
        }
        self._device = pick_device(config.device)
        self._model = model.to(self._device)

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, np.ndarray]:
        """Return `mean` and `std` of the posterior of each image."""
        posterior = self._model.encode(pixels.to(self._device).float() / WHITE - 1).latent_dist
        return {name: getattr(posterior, name).half().cpu().numpy() for name in ("mean", "std")}


class LatentDecoder:
    """The same autoencoder the other way: latents as a model samples them to images in [-1, 1]."""

    def __init__(self, config: LatentConfig) -> None:
        model = _load(config)
        self.sha256 = tensors_sha256(model)
        self._scale, self._shift = (
            float(model.config.scaling_factor),
            float(model.config.shift_factor or 0.0),
        )
        self._device = pick_device(config.device)
        self._model = model.to(self._device)

    @torch.inference_mode()
    def __call__(self, latents: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 3 height width"]:
        """Return the images, one after another, since decoding takes much memory."""
        values = latents.to(self._device).float() / self._scale + self._shift
        return torch.cat([self._model.decode(value.unsqueeze(0)).sample for value in values])


def _load(config: LatentConfig) -> Any:
    """Return the autoencoder, frozen.

    Raises: InputError if it is neither a local folder nor can be fetched.
    """
    from diffusers import AutoencoderKL

    try:
        load: Any = AutoencoderKL.from_pretrained
        model = load(config.model, use_safetensors=True)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"latents.model must be an AutoencoderKL on the hub or a local folder of one with .safetensors weights, found {config.model} "
            f"({reason}); download it where there is a network and give its folder"
        ) from error
    return model.eval().requires_grad_(requires_grad=False)
