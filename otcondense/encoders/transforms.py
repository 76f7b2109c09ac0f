"""The evaluation transform of a timm model, as data that a worker can use without the model."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, get_args

import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor

from otcondense.datasets.fast_decoding import decode_pixels, image_pixels, with_channels
from otcondense.datasets.gpu_decoding import decode_batch
from otcondense.datasets.unreadable import UnreadableImageError
from otcondense.encoders.googlenet import GOOGLENET, GOOGLENET_CONFIG
from otcondense.encoders.origins import is_own_code, transformers_name
from otcondense.encoders.own_code import OWN_CODE_CONFIG
from otcondense.encoders.pixels import PIXELS_CONFIG
from otcondense.encoders.presets import PIXELS, PRESETS
from otcondense.encoders.resizing import (
    BITS8,
    CropMode,
    Interpolation,
    center_crop,
    resize,
    scaled_size,
    without_ends,
)
from otcondense.encoders.transformers_input import transformers_record
from otcondense.errors import InputError

WITHOUT_TIMM = {GOOGLENET: GOOGLENET_CONFIG, PIXELS: PIXELS_CONFIG}
"""Records of the encoders that timm does not have."""
EXAMPLES = ["resnet50", "vit_base_patch14_dinov2"]
"""Models to suggest if no name is near."""
NAMES_OF_OTHERS = (
    "write transformers:NAME for a model of transformers, package.module:function for your own; "
)
"""Advice for a name that looks like one of another library."""
SUGGESTED = 4
"""Most models that are suggested: a family such as dinov3 has so many sizes of one kind."""


@dataclass(frozen=True)
class DecodedInput:
    """One image as a model's input."""

    pixels: UInt8[Tensor, "c h w"]
    """Of the model's size."""
    width: int
    """Of the upright image in pixels, before the resize."""
    height: int


@dataclass(frozen=True)
class InputSpec:
    """Input of a model: resize the short side to size / crop_pct, crop the centre, normalise."""

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    interpolation: Interpolation
    crop_pct: float
    crop_mode: CropMode

    @classmethod
    def of_model(
        cls, name: str, *, image_size: int | None, channels: int, crop_pct: float | None
    ) -> "InputSpec":
        """Return the input of timm's model `name`, with the overrides that are not None.

        Raises: InputError if timm has no such model, or its images are resized in another way.
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
            interpolation=_known(name, "interpolation", found, Interpolation),
            crop_pct=found["crop_pct"],
            crop_mode=_known(name, "crop_mode", found, CropMode),
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one input."""
        return (self.channels, self.height, self.width)

    def read(self, data: bytes, *, max_pixels: int) -> DecodedInput:
        """Return the model's input from the bytes of an image file of any kind.

        Any number of threads may call it at once; most of the work is done without Python's lock.
        Its bits do not depend on the CPU or the number of threads.

        Raises: UnreadableImageError with the reason, also for images of more than `max_pixels`.
        """
        return self._input(decode_pixels(data, channels=self.channels, max_pixels=max_pixels))

    def read_batch(
        self, files: list[bytes], *, max_pixels: int, device: torch.device
    ) -> list[DecodedInput | UnreadableImageError]:
        """Return the model's inputs from image files, on `device`.

        On a GPU, JPEG files are decoded by nvJPEG and all images are resized there: the pixels
        differ slightly from those of `read`. A file that `read` refuses gives its error.
        """
        if device.type == "cpu":
            return [self._read_or_error(data, max_pixels) for data in files]
        decoded = decode_batch(files, channels=self.channels, max_pixels=max_pixels, device=device)
        return [
            pixels if isinstance(pixels, UnreadableImageError) else self._input(pixels.to(device))
            for pixels in decoded
        ]

    def _read_or_error(self, data: bytes, max_pixels: int) -> DecodedInput | UnreadableImageError:
        try:
            return self.read(data, max_pixels=max_pixels)
        except UnreadableImageError as error:
            return error

    def _input(self, pixels: UInt8[Tensor, "c h w"]) -> DecodedInput:
        return DecodedInput(self.fit(pixels), width=pixels.shape[2], height=pixels.shape[1])

    def pixels(self, image: Image.Image) -> UInt8[Tensor, "c h w"]:
        """Return the model's input from an image of mode `L` or `RGB`, as `read` does."""
        return self.fit(image_pixels(image))

    def fit(self, pixels: UInt8[Tensor, "k h w"]) -> UInt8[Tensor, "c h2 w2"]:
        """Return the model's input from grey or RGB pixels of any size: resized and cropped."""
        pixels = with_channels(pixels, self.channels)
        if self.crop_mode == "center":
            pixels = without_ends(pixels)
        wanted = (self.height, self.width)
        size = scaled_size(
            (pixels.shape[1], pixels.shape[2]), wanted, self.crop_pct, self.crop_mode
        )
        return center_crop(resize(pixels, size, self.interpolation), wanted, self.mean)

    def normalize(self, pixels: UInt8[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Normalise 8-bit pixels as in the training of the model, on their device."""
        mean = per_channel(self.mean, pixels.device)
        return (pixels.float() / BITS8 - mean) / per_channel(self.std, pixels.device)


@lru_cache(maxsize=64)
def per_channel(values: tuple[float, ...], device: torch.device) -> Float[Tensor, "1 c 1 1"]:
    """Return one value for each channel of a batch; it is kept, since a copy makes a GPU wait."""
    with torch.inference_mode(mode=False):
        return torch.tensor(values, device=device).view(1, -1, 1, 1)


def _known(name: str, setting: str, found: dict[str, Any], kind: Any) -> Any:
    """Return a setting of timm's transform.

    Raises: InputError if the transform here has no such value.
    """
    value = found[setting]
    if value not in get_args(kind):
        raise InputError(
            f"the images of {name} must be prepared with {setting} "
            f"{' or '.join(get_args(kind))}, found {value!r}; choose another encoder"
        )
    return value


def _for_channels(values: tuple[float, ...], channels: int) -> tuple[float, ...]:
    """Return constants for each channel.

    A grey model gets the mean over the colours, since timm sums the weights of the colours.
    """
    if len(values) == channels:
        return tuple(values)
    return (sum(values) / len(values),) * channels


def pretrained_config(name: str) -> dict[str, Any]:
    """Return the record of a model, timm's or one like it.

    It has the size of the input, the constants of the transform, and the number of classes.

    Raises: InputError with the nearest names if there is no such model.
    """
    import timm

    if transformers_name(name) is not None:
        return dict(transformers_record(name))
    if is_own_code(name):
        return dict(OWN_CODE_CONFIG)
    if name in WITHOUT_TIMM:
        return dict(WITHOUT_TIMM[name])
    found = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    if found is None:
        near = _nearest(name, [*PRESETS, *timm.list_models()]) or EXAMPLES
        other = NAMES_OF_OTHERS if "/" in name or ":" in name else ""
        raise InputError(
            f"timm has no model called {name!r}; {other}nearest names: {', '.join(near)}"
        )
    return dataclasses.asdict(found)


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    """Return names that hold this one, the shortest first, then those that are similar."""
    holding = sorted((each for each in known if name and name in each), key=len)
    similar = get_close_matches(name, known, n=SUGGESTED)
    return list(dict.fromkeys([*holding[:SUGGESTED], *similar]))[:SUGGESTED]
