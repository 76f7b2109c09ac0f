"""The evaluation transform of a timm model, as data that a worker can use without the model."""

import dataclasses
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from otcondense.encoders.googlenet import GOOGLENET, GOOGLENET_CONFIG
from otcondense.encoders.presets import PRESETS
from otcondense.errors import InputError

BITS8 = 255
"""Largest value of 8 bits."""
EXAMPLES = ["resnet50", "vit_base_patch14_dinov2"]
"""Models to suggest if no name is near."""


@dataclass(frozen=True)
class InputSpec:
    """Input of a model: resize the short side to size / crop_pct, crop the centre, normalise."""

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: str
    crop_pct: float
    crop_mode: str

    @classmethod
    def of_model(
        cls, name: str, *, image_size: int | None, channels: int, crop_pct: float | None
    ) -> "InputSpec":
        """Return the input of timm's model `name`, with the overrides that are not None.

        Raises: InputError if timm has no such model.
        """
        from timm.data.config import resolve_data_config

        pretrained = pretrained_config(name)
        size = (channels, *pretrained["input_size"][1:])
        if image_size:
            size = (channels, image_size, image_size)

        known = {key: _for_channels(pretrained[key], channels) for key in ("mean", "std")}
        found: dict[str, Any] = resolve_data_config(  # type: ignore[no-untyped-call]
            {"input_size": size, "crop_pct": crop_pct, **known}, pretrained_cfg=pretrained
        )
        return cls(
            height=size[1],
            width=size[2],
            channels=channels,
            mean=known["mean"],
            std=known["std"],
            interpolation=found["interpolation"],
            crop_pct=found["crop_pct"],
            crop_mode=found["crop_mode"],
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input."""
        return (self.channels, self.height, self.width)

    @cached_property
    def _resize(self) -> Any:
        from timm.data.transforms_factory import create_transform

        return create_transform(
            self.shape,
            interpolation=self.interpolation,
            crop_pct=self.crop_pct,
            crop_mode=self.crop_mode,
            normalize=False,
        )

    def pixels(self, image: Image.Image) -> UInt8[Tensor, "c h w"]:
        """Resize and crop an image of the right mode (`L` or `RGB`); it keeps 8 bits a channel."""
        resized: Tensor = self._resize(image)
        return resized

    def normalize(self, pixels: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise 8-bit pixels as in the training of the model, on their device."""
        mean = torch.tensor(self.mean, device=pixels.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, -1, 1, 1)
        return (pixels.float() / BITS8 - mean) / std


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return constants for each channel.

    A grey model gets the mean over the colours, since timm sums the weights of the colours.
    """
    if len(values) == channels:
        return tuple(values)
    return (sum(values) / len(values),) * channels


def pretrained_config(name: str) -> dict[str, Any]:
    """Return timm's record of a model: input size, constants of the transform, number of classes.

    Raises: InputError with the nearest names if there is no such model.
    """
    import timm

    if name == GOOGLENET:
        return dict(GOOGLENET_CONFIG)
    found = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if found is None:
        near = get_close_matches(name, [*PRESETS, *timm.list_models()], n=3) or EXAMPLES
        raise InputError(f"timm has no model called {name!r}; nearest names: {', '.join(near)}")
    return dataclasses.asdict(found)
