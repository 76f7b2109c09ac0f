"""What an autoencoder computes and how large its latents are, counted on shapes alone."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from otcondense.representations.autoencoder import (
    CONFIG_FILE,
    Autoencoder,
    class_name,
    library_class,
    settings_of,
)
from otcondense.representations.latent_config import LatentConfig

CONVOLUTIONS = ("aten.convolution", "aten._convolution", "aten.cudnn_convolution")
"""Names of torch's convolutions in its count."""


@dataclass(frozen=True)
class AutoencoderSize:
    """One autoencoder, for images of one size."""

    latent_shape: tuple[int, int, int]
    """Channels, height and width of the latents."""
    arrays: int
    """Stored arrays of a latent: 2 for mean and deviation, 1 without a posterior."""
    encoder_flops: float
    """Of one image; a multiply and an add count as two."""
    decoder_flops: float
    convolutional: bool = True
    """Whether most of the arithmetic is convolutions."""


def autoencoder_size(config: LatentConfig) -> AutoencoderSize | None:
    """Return the sizes of an autoencoder on this machine; no weights are made or loaded.

    Returns: None if it is not on this machine, neither as a folder nor in the cache of the hub.

    Raises: InputError if its class is not taken, or does not take images of this size.
    """
    folder = _folder(config.model)
    if folder is None:
        return None
    return _counted(json.dumps(settings_of(folder)), config.model, config.image_size)


def _folder(model: str) -> str | None:
    """Return the folder of the model's config.json, if it is on this machine; no hub is asked."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    if Path(model).is_dir():
        return model
    try:
        found = try_to_load_from_cache(model, CONFIG_FILE)
    except HFValidationError:  # a folder on another machine
        return None
    return str(Path(found).parent) if isinstance(found, str) else None


@lru_cache(maxsize=16)
def _counted(settings: str, model: str, side: int) -> AutoencoderSize:
    values: dict[str, Any] = json.loads(settings)
    name = class_name(values, model)
    with torch.device("meta"):
        autoencoder = Autoencoder(name, library_class(name).from_config(values).eval())
        autoencoder.check_side(side)
        pixels = torch.empty(1, 3, side, side)
    with FlopCounterMode(display=False) as encoding, torch.inference_mode():
        arrays = autoencoder.encode(pixels)
    with FlopCounterMode(display=False) as decoding, torch.inference_mode():
        autoencoder.decode(arrays["mean"])
    _, channels, height, width = arrays["mean"].shape
    return AutoencoderSize(
        latent_shape=(channels, height, width),
        arrays=len(arrays),
        encoder_flops=float(encoding.get_total_flops()),
        decoder_flops=float(decoding.get_total_flops()),
        convolutional=_convolved(encoding) > encoding.get_total_flops() / 2,
    )


def _convolved(counter: FlopCounterMode) -> int:
    counts = counter.get_flop_counts().get("Global", {})
    return sum(n for name, n in counts.items() if str(name).startswith(CONVOLUTIONS))
