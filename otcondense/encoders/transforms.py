"""The evaluation transform of a timm model, as pure data that a worker can rebuild without the model."""

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


@dataclass(frozen=True)
class InputSpec:
    """What a model expects: resize the short side to size / crop_pct, crop the centre, scale by mean and std."""

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
        """Return what timm's model `name` expects, with the overrides that are not None.

        Raises: InputError if timm knows no such model.
        """
        from timm.data.config import resolve_data_config

        pretrained = pretrained_config(name)
        size = (
            (channels, image_size, image_size)
            if image_size
            else (channels, *pretrained["input_size"][1:])
        )
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
        """Resize and crop an image of the right mode (`L` or `RGB`), still with 8 bits a channel."""
        return self._resize(image)  # type: ignore[no-any-return]

    def normalize(self, pixels: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Scale 8-bit pixels to what the model saw in training, on the device where they are."""
        mean, std = (
            torch.tensor(values, device=pixels.device).view(1, -1, 1, 1)
            for values in (self.mean, self.std)
        )
        return (pixels.float() / BITS8 - mean) / std


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return per-channel constants; a grey model gets the mean over the colours, as timm sums the colour weights."""
    return tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels


def pretrained_config(name: str) -> dict[str, Any]:
    """Return the record of a model as timm keeps it: input size, transform constants, number of classes.

    Raises: InputError with the nearest names if there is no such model.
    """
    import timm

    if name == GOOGLENET:
        return dict(GOOGLENET_CONFIG)
    found = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if found is None:
        near = get_close_matches(name, [*PRESETS, *timm.list_models()], n=3) or [
            "resnet50",
            "vit_base_patch14_dinov2",
        ]
        raise InputError(f"timm has no model called {name!r}; nearest names: {', '.join(near)}")
    return dataclasses.asdict(found)
