"""What training may read beside pixels, once per image or class: VAE latents, patch tokens, text embeddings."""

from otcondense.representations.crop import adm_center_crop
from otcondense.representations.image_model import (
    REPRESENTATIONS_SCHEMA_VERSION,
    ImageModel,
    RepresentationConfig,
)
from otcondense.representations.latents import LatentConfig, LatentDecoder, LatentModel
from otcondense.representations.text import TextConfig, TextModel
from otcondense.representations.tokens import TokenConfig, TokenModel

__all__ = [
    "REPRESENTATIONS_SCHEMA_VERSION",
    "ImageModel",
    "LatentConfig",
    "LatentDecoder",
    "LatentModel",
    "RepresentationConfig",
    "TextConfig",
    "TextModel",
    "TokenConfig",
    "TokenModel",
    "adm_center_crop",
]
