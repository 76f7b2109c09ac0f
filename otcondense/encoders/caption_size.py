"""What a text network computes for a caption, counted on shapes alone."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from otcondense.encoders.caption_model import TextFamily, caption_family, most_tokens
from otcondense.encoders.encoder_config import EncoderConfig
from otcondense.text_networks import network_settings
from otcondense.transformers_library import load_library, quiet


@dataclass(frozen=True)
class CaptionSize:
    """One text network, without its weights."""

    flops: float
    """Of one caption of the longest length; a multiply and an add count as two."""
    width: int
    """Numbers of an embedding."""


def caption_size(config: EncoderConfig, *, joint: bool = False) -> CaptionSize:
    """Return the arithmetic and the width of a text network; no weights are made or loaded.

    Args:
        config: of the network.
        joint: whether it must embed images in the same space.

    Raises: InputError if there is no such network, or its kind is not known here.
    """
    place = config.transformers_name
    assert place is not None, "a text network is one of transformers"
    return _counted(config.name, place, joint)


@lru_cache(maxsize=16)
def _counted(name: str, place: str, joint: bool) -> CaptionSize:  # noqa: FBT001 - a cache key
    settings = network_settings(name, place, "transformers")
    family = caption_family(name, settings.model_type, joint=joint)
    library = load_library(name)
    read = getattr(settings, family.settings, settings)
    with quiet(library), torch.device("meta"):
        net = getattr(library, family.network)(settings).eval()
        tokens = torch.zeros(1, most_tokens(read), dtype=torch.long)
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        embedded = _embedded(net, family, tokens)
    return CaptionSize(float(counter.get_total_flops()), int(embedded.shape[-1]))


def _embedded(net: Any, family: TextFamily, tokens: torch.Tensor) -> torch.Tensor:
    if not family.is_joint:
        states: torch.Tensor = net(input_ids=tokens).last_hidden_state
        return states
    pooled: torch.Tensor = net.text_model(input_ids=tokens).pooler_output
    return family.projected(net, pooled)
