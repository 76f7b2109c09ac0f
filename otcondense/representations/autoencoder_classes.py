"""The classes of diffusers' autoencoders, and how each of them encodes and decodes.

Another class needs one entry in `CLASSES`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

HALF_RANGE = 127.5
"""Half of the largest 8-bit value: pixels / 127.5 - 1 are in [-1, 1]."""
WHITE = 255
"""Largest 8-bit value."""
RGB = 3
"""Channels of the images."""


@dataclass(frozen=True)
class AutoencoderClass:
    """One class of diffusers."""

    output: str
    """Where `encode` puts its result."""
    stride: Callable[[Any], int]
    """Pixels of the image for each latent of a model, in height and width."""
    draws: bool = False
    """Whether it has a posterior, from which training draws latents."""
    from_black: bool = False
    """Whether its images are in [0, 1], not in [-1, 1]."""
    scales: bool = False
    """Whether it scales its latents itself, by statistics among its weights."""
    side: Callable[[Any], int | None] = lambda _model: None
    """Height and width of the only images that a model decodes to; None for any multiple of the
    stride."""
    package: str | None = None
    """A package that it needs in addition to diffusers."""

    def encoded(self, model: Any, pixels: Tensor) -> dict[str, Tensor]:
        """Return `mean` and, if the class has a posterior, `std`.

        Args:
            model: of this class.
            pixels: 8-bit values as float32 [b, 3, h, w].
        """
        images = pixels / WHITE if self.from_black else pixels / HALF_RANGE - 1
        found = getattr(model.encode(images), self.output)
        return {"mean": found.mean, "std": found.std} if self.draws else {"mean": found}

    def decoded(self, model: Any, latents: Tensor) -> Tensor:
        """Return the images [b, 3, height, width] in [-1, 1] of latents in the model's units."""
        images: Tensor = model.decode(latents).sample
        return images * 2 - 1 if self.from_black else images

    def scaling(self, model: Any) -> dict[str, float]:
        """Return `scaling_factor` and `shift_factor`.

        The latent for training is (latent - shift_factor) * scaling_factor.
        """
        if self.scales:
            return {"scaling_factor": 1.0, "shift_factor": 0.0}
        shift = getattr(model.config, "shift_factor", None)
        return {
            "scaling_factor": float(model.config.scaling_factor),
            "shift_factor": float(shift or 0.0),
        }

    def missing(self, model: Any) -> str | None:
        """Return what a model of this class lacks, as the end of a sentence; None if nothing."""
        config = model.config
        channels = config.get("in_channels", config.get("num_channels", RGB))
        if channels != RGB:
            return f"images of {RGB} channels, found {channels}"
        if not config.get("reshape_to_2d", True):
            return "latents in rows and columns (reshape_to_2d=true), found tokens"
        return None


def _halved(blocks: str) -> Callable[[Any], int]:
    """Return the stride of models whose blocks halve the image, all but the last one."""

    def stride(model: Any) -> int:
        count = len(model.config[blocks])
        return int(2 ** (count - 1))

    return stride


CLASSES = {
    "AutoencoderKL": AutoencoderClass("latent_dist", _halved("block_out_channels"), draws=True),
    "AutoencoderDC": AutoencoderClass("latent", _halved("encoder_block_out_channels")),
    "AutoencoderRAE": AutoencoderClass(
        "latent",
        lambda model: int(model.config.patch_size),
        from_black=True,
        scales=True,
        side=lambda model: int(model.decoder_image_size),
        package="transformers",
    ),
    "AutoencoderTiny": AutoencoderClass("latents", _halved("encoder_block_out_channels")),
    "VQModel": AutoencoderClass("latents", _halved("block_out_channels")),
}
"""Every class that is taken, by its name in config.json.

Sources: AutoencoderKL, Rombach et al. (arXiv:2112.10752), section 3.1, whose regularised form it
is, VQModel the quantised one: its latents are those before quantisation, which its decoder does.
AutoencoderDC, Chen et al. (arXiv:2410.10733). AutoencoderRAE, Zheng et al. (arXiv:2510.11690).
"""
