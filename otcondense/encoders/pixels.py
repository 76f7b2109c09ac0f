"""Raw pixels with the interface of a timm model: what an encoder without any knowledge gives."""

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

PIXELS_CONFIG: dict[str, Any] = {
    "input_size": (3, 32, 32),
    "mean": (0.0, 0.0, 0.0),
    "std": (1.0, 1.0, 1.0),
    "interpolation": "bilinear",
    "crop_pct": 1.0,
    "crop_mode": "center",
    "num_classes": 0,
    "fixed_input_size": False,
}
"""Pixels are scaled to 0..1; larger images are resized with antialiasing."""


class PixelModel(nn.Module):
    """The channels, rows and columns of an image as its features; there are no weights."""

    def forward_features(self, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Return the images."""
        return images

    def forward_head(
        self, maps: Float[Tensor, "b c h w"], *, pre_logits: bool = False
    ) -> Float[Tensor, "b d"]:
        """Return each image as a row; there is no classifier to leave out."""
        assert pre_logits
        return maps.flatten(1)
