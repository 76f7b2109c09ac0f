"""What an encoder computes, counted on shapes alone."""

import math
import warnings
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from otcondense.encoders.encoder import build_model
from otcondense.encoders.encoder_config import SEEN_FIELDS, EncoderConfig

WITHOUT_EFFECT = {"weights", "weights_seed", "train", "device", "batch_size", *SEEN_FIELDS}
"""Settings that change no count."""
CONVOLUTIONS = ("aten.convolution", "aten._convolution", "aten.cudnn_convolution")
"""Names of torch's convolutions in its count."""


@dataclass(frozen=True)
class EncoderSize:
    """One encoder, without its weights."""

    flops: float
    """Of one image, forward; a multiply and an add count as two."""
    parameters: int
    width: int
    """Number of features."""
    classes: int
    """Outputs of its classifier, 0 without one."""
    convolutional: bool
    """Whether most of the arithmetic is convolutions."""


def encoder_size(config: EncoderConfig) -> EncoderSize:
    """Return the arithmetic and the sizes of an encoder; no weights are made or loaded.

    A function of the user is called, on the CPU.

    Raises: InputError if there is no such model.
    """
    values = config.model_dump(exclude=WITHOUT_EFFECT) | {"num_classes": config.classes()}
    return _counted(EncoderConfig.model_validate(values).model_dump_json())


@lru_cache(maxsize=16)
def _counted(settings: str) -> EncoderSize:
    config = EncoderConfig.model_validate_json(settings)
    # A function of the user may know no other place than the CPU.
    place = "cpu" if config.is_own_code else "meta"
    shape = config.input_spec().shape
    image = torch.linspace(-1, 1, math.prod(shape), device="cpu")  # finite, not constant
    image = image.reshape(1, *shape).to(place)
    with torch.device(place), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of timm, about weights that are not initialised
        model: Any = build_model(config).eval()
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        features = model.forward_head(model.forward_features(image), pre_logits=True)
        if config.classes():
            model.get_classifier()(features)
    counts = counter.get_flop_counts().get("Global", {})
    total = sum(counts.values())
    convolved = sum(n for name, n in counts.items() if str(name).startswith(CONVOLUTIONS))
    return EncoderSize(
        flops=float(max(total, features.numel())),  # pixels are at least scaled
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        width=int(features.shape[1]),
        classes=config.classes(),
        convolutional=2 * convolved > total,
    )
