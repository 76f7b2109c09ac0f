"""The configuration of the extraction of tokens; it needs no torch."""

from pydantic import Field

from otcondense.representations.representation_config import RepresentationConfig

DINO_PATCH = 14
"""Side in pixels of a patch of DINOv2."""
LATENT_PATCH = 16
"""Side in pixels of a token of a DiT with patches of 2 on latents with a stride of 8."""


class TokenConfig(RepresentationConfig):
    """The vision transformer that turns images into patch tokens, and how it is run."""

    name: str = "vit_base_patch14_dinov2"
    """Name of a timm vision transformer."""
    file: str | None = None
    """Local .safetensors file with the weights; empty downloads timm's pretrained weights by
    name."""
    input_size: int | None = Field(default=None, ge=8)
    """Height and width to which the crop is resized for the model. By default 14 pixels for each
    16, so that a patch of 14 is one token of a DiT with patches of 2 on latents: 224 for 256 (256
    tokens), 448 for 512 (1024 tokens)."""

    def weights(self) -> str | None:
        """Return the local file of the weights."""
        return self.file

    @property
    def model_size(self) -> int:
        """Height and width of the model's input in pixels."""
        return self.input_size or self.image_size * DINO_PATCH // LATENT_PATCH
