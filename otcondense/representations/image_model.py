"""The interface of every model that turns an image into arrays for training."""

import hashlib
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from otcondense.representations.representation_config import (
    REPRESENTATIONS_SCHEMA_VERSION,
    RepresentationConfig,
)

__all__ = [
    "REPRESENTATIONS_SCHEMA_VERSION",
    "ImageModel",
    "RepresentationConfig",
    "tensors_sha256",
]


@runtime_checkable
class ImageModel(Protocol):
    """Turns a batch of cropped images into arrays."""

    sha256: str
    """SHA-256 of the weights."""
    facts: dict[str, Any]
    """Facts that a reader of the arrays needs, such as their scaling factor."""

    device: torch.device
    """Where it computes."""

    def __call__(self, pixels: UInt8[Tensor, "b 3 h w"]) -> dict[str, Tensor]:
        """Return the named arrays of each image on the device, rows in the order of `pixels`."""
        ...


def tensors_sha256(model: nn.Module) -> str:
    """Return the SHA-256 of a model's tensors in the order of their names."""
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()
