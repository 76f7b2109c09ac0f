"""Encoders with random weights, for benchmarks of everything around them."""

from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from otcondense.encoders import EncoderConfig


def make_encoder(root: Path, name: str, size: int, batch_size: int = 32) -> EncoderConfig:
    """Save random weights of a timm model and return its configuration.

    Args:
        root: folder of the weights.
        name: of the model.
        size: of its input in pixels.
        batch_size: images that it encodes together.
    """
    torch.manual_seed(0)
    path = root / f"{name}.safetensors"
    save_file(timm.create_model(name, num_classes=0).state_dict(), path)
    return EncoderConfig(
        name=name,
        weights=str(path),
        image_size=size,
        num_classes=0,
        batch_size=batch_size,
        device="cpu",
    )
