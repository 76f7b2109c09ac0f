"""Patch tokens of a self-supervised vision transformer.

There is one for each token of a diffusion transformer on latents.
"""

from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor
from torch.nn import functional

from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.encoders.transforms import per_channel
from otcondense.errors import InputError
from otcondense.representations.token_config import TokenConfig

__all__ = ["TokenConfig", "TokenModel"]

WHITE = 255
"""Largest 8-bit value."""


class TokenModel:
    """A timm vision transformer; returns `tokens` as float16 [b, patches, d], by rows of the image.

    Class and register tokens are left out.

    Raises: InputError if the model or its weights are missing, or it has no patch tokens.
    """

    def __init__(self, config: TokenConfig) -> None:
        encoder = EncoderConfig(
            name=config.name,
            weights=config.file,
            image_size=config.model_size,
            num_classes=0,
            crop_pct=1.0,
            device=config.device,
        )
        self.sha256 = weights_sha256(encoder)
        self._encoder = load_encoder(encoder)
        self._size = config.model_size
        self.device = self._encoder.device
        if not hasattr(self._encoder.model, "num_prefix_tokens"):
            raise InputError(
                f"tokens.name must be a vision transformer with patch tokens, found {config.name}"
            )
        model: Any = self._encoder.model
        self._first = int(model.num_prefix_tokens)
        self.facts: dict[str, Any] = {"input_size": self._size}

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """Return the patch tokens of each image, after the model's last normalisation."""
        images = pixels.to(self._encoder.device).float()
        if images.shape[-1] != self._size:
            size = (self._size, self._size)
            images = functional.interpolate(images, size, mode="bicubic").clamp(0, WHITE)
        spec = self._encoder.spec
        mean, std = (per_channel(each, images.device) for each in (spec.mean, spec.std))
        model: Any = self._encoder.model
        tokens = model.forward_features((images / WHITE - mean) / std)
        return {"tokens": tokens[:, self._first :].half()}
