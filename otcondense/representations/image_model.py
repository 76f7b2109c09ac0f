"""The face that every model has which turns an image into arrays for training."""

import hashlib
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from jaxtyping import UInt8
from pydantic import Field
from torch import Tensor, nn

from otcondense.config import Config

REPRESENTATIONS_SCHEMA_VERSION = 2


class RepresentationConfig(Config):
    """What the extraction of latents and of tokens have in common."""

    image_size: int = Field(default=256, ge=8)
    """Height and width in pixels of the centre crop."""
    mirror: bool = True
    """Whether a second row holds the mirrored image, since mirroring an image's latent gives something else."""
    images: Literal["subsets", "source"] = "subsets"
    """Which images: those of all subsets that the run selects, or all of the source that have features."""
    batch_size: int = Field(default=16, ge=1)
    """Images per forward pass; incomplete batches are padded, since a row's last digits depend on the batch's size."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU where there is one."""

    def weights(self) -> str | None:
        """Return the local file or folder of the weights, None if they are fetched by name."""
        raise NotImplementedError

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the arrays of an image, for the names of directories; local weights count by their name."""
        file = self.weights()
        kept = self.model_dump(mode="json", exclude={"images", "device"})
        return {
            key: Path(file).name if file is not None and value == file else value
            for key, value in kept.items()
        }


class ImageModel(Protocol):
    """Turns a batch of cropped images into arrays."""

    sha256: str
    """SHA-256 of the weights."""
    facts: dict[str, Any]
    """What a reader of the arrays has to know, such as their scaling factor."""

    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, np.ndarray]:
        """Return the named arrays of each image, rows in the order of `pixels`."""
        ...


def tensors_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of a model's tensors in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
