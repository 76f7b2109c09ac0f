"""The shared configuration of the extraction of latents and of tokens; it needs no torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from otcondense.config import Config

REPRESENTATIONS_SCHEMA_VERSION = 2
DECODING_VERSION = 2
"""Counts changes of the decoded pixels. 2 puts transparent images on white, 1 dropped
transparency."""


class RepresentationConfig(Config):
    """Settings that the extraction of latents and of tokens share."""

    image_size: int = Field(default=256, ge=8)
    """Height and width in pixels of the centre crop."""
    mirror: bool = True
    """Store a second row for the mirrored image: the latent of a mirrored image is not the mirrored
    latent."""
    images: Literal["subsets", "source"] = "subsets"
    """Which images: the images of all subsets that the run selects, or all images of the source
    that have features."""
    batch_size: int = Field(default=16, ge=1)
    """Images per forward pass; incomplete batches are padded, since a row's last digits depend on
    the batch's size."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU if there is one."""

    def weights(self) -> str | None:
        """Return the local file or folder of the weights, None if they are downloaded by name."""
        raise NotImplementedError

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the arrays of an image, for the names of directories.

        Local weights are identified by their file name, without its folder.
        """
        file = self.weights()
        kept = self.model_dump(mode="json", exclude={"images", "device"})
        kept["decoding"] = DECODING_VERSION
        if file is None:
            return kept
        name = Path(file).name
        return {key: name if value == file else value for key, value in kept.items()}
