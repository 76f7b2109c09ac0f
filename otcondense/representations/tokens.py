"""Patch tokens of a self-supervised vision transformer, one for each token of a diffusion transformer on latents."""

from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.errors import InputError
from otcondense.representations.image_model import RepresentationConfig

DINO_PATCH, LATENT_PATCH = 14, 16
BITS8 = 255


class TokenConfig(RepresentationConfig):
    """Which vision transformer turns images into patch tokens, and how it is run."""

    name: str = "vit_base_patch14_dinov2"
    """Name of a timm vision transformer."""
    file: str | None = None
    """Local .safetensors file with the weights; by default timm's pretrained weights are fetched by name."""
    input_size: int | None = Field(default=None, ge=8)
    """Height and width to which the crop is resized for the model; by default 14 pixels for each 16, so that a patch of 14 is one
    token of a DiT with patches of 2 on latents: 224 for 256 (256 tokens), 448 for 512 (1024 tokens)."""

    def weights(self) -> str | None:
        """Return the local file of the weights."""
        return self.file

    @property
    def model_size(self) -> int:
        """Height and width of the model's input in pixels."""
        return self.input_size or self.image_size * DINO_PATCH // LATENT_PATCH


class TokenModel:
    """A timm vision transformer; gives `tokens` as float16 [b, patches, d], by rows of the image, without class and register tokens.

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
        if not hasattr(self._encoder.model, "num_prefix_tokens"):
            raise InputError(
                f"tokens.name must be a vision transformer with patch tokens, found {config.name}"
            )
        self._first = int(self._encoder.model.num_prefix_tokens)  # type: ignore[arg-type]
        self.facts: dict[str, Any] = {"input_size": self._size}

    @torch.inference_mode()
    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, np.ndarray]:
        """Return the patch tokens of each image, after the model's last normalisation."""
        images = pixels.to(self._encoder.device).float()
        if images.shape[-1] != self._size:
            images = functional.interpolate(images, (self._size, self._size), mode="bicubic").clamp(
                0, BITS8
            )
        mean, std = (
            torch.tensor(each, device=images.device).view(1, -1, 1, 1)
            for each in (self._encoder.spec.mean, self._encoder.spec.std)
        )
        tokens = self._encoder.model.forward_features((images / BITS8 - mean) / std)  # type: ignore[operator]
        return {"tokens": tokens[:, self._first :].half().cpu().numpy()}
