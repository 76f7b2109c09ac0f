"""An encoder that is a function of the user: `package.module:function`."""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from otcondense.counts import counted
from otcondense.encoders.encoder_config import EncoderConfig
from otcondense.errors import InputError

OWN_CODE_CONFIG: dict[str, Any] = {
    "input_size": (3, 224, 224),
    "mean": (0.485, 0.456, 0.406),
    "std": (0.229, 0.224, 0.225),
    "interpolation": "bicubic",
    "crop_pct": 0.875,
    "crop_mode": "center",
    "num_classes": 0,
    "fixed_input_size": False,
}
"""Input of a user's function: ImageNet's usual one. `image_size` and `crop_pct` change it; another
normalisation is for the function to make."""


class OwnModel(nn.Module):
    """What a user's function returns, with the interface of a timm model."""

    def __init__(self, name: str, compute: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self._name = name
        self._compute = compute  # nn.Module registers it if it is a module
        self.is_module = isinstance(compute, nn.Module)

    def forward_features(self, images: Float[Tensor, "b c h w"]) -> Any:
        """Return what the function makes of a batch.

        Raises: InputError if it has not one row for each image.
        """
        found = self._compute(images)
        if isinstance(found, Tensor) and found.ndim and len(found) != len(images):
            raise InputError(
                f"{self._name} must give one row of features for each image, found shape "
                f"{tuple(found.shape)} for {counted(len(images), 'image')}"
            )
        return found

    def forward_head(self, maps: Any, *, pre_logits: bool = False) -> Float[Tensor, "b d"]:
        """Return the features of a batch.

        Raises: InputError if they are no finite numbers, one row for each image.
        """
        assert pre_logits, "there is no classifier"
        if not isinstance(maps, Tensor) or maps.ndim != 2 or not maps.is_floating_point():
            found = (
                f"shape {tuple(maps.shape)}" if isinstance(maps, Tensor) else type(maps).__name__
            )
            raise InputError(
                f"{self._name} must give a tensor of floating-point features [batch, d], found "
                f"{found}; flatten or pool them"
            )
        if maps.device.type != "meta" and not torch.isfinite(maps).all():
            raise InputError(f"{self._name} must give finite features, found NaN or infinite ones")
        return maps


def build_own(config: EncoderConfig) -> OwnModel:
    """Call the user's function without arguments and return what it gives, as a model.

    This runs code that the configuration names; nothing but a configuration names any.

    Raises: InputError if it cannot be imported, or does not return a module or a function.
    """
    function = import_function(config.name)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)  # a network without weights of its own is the same everywhere
            found = function()
    except Exception as error:  # the user's code can raise anything
        raise InputError(
            f"{config.name} must return a torch module or a function of a batch when it is called "
            f"without arguments, but it raised {type(error).__name__}: {error}"
        ) from error
    if not callable(found):
        raise InputError(
            f"{config.name} must return a torch module, or a function of a normalised batch "
            f"[batch, channels, height, width], found {type(found).__name__}"
        )
    model = OwnModel(config.name, found)
    if config.version is None and not model.state_dict():
        raise InputError(
            f"{config.name} returns no weights by which a change could be seen; set version, and "
            "change it when the function gives other features"
        )
    return model


def import_function(name: str) -> Callable[[], Any]:
    """Return the function `package.module:function`: of the working directory, or installed.

    Raises: InputError if there is none.
    """
    module_name, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.append(here)  # last, so that a file here replaces no library
    try:
        found = getattr(importlib.import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"the encoder {name} must be a function of a module in the working directory or of an "
            f"installed package, found none ({error})"
        ) from error
    if not callable(found):
        raise InputError(f"the encoder {name} must be a function, found {type(found).__name__}")
    function: Callable[[], Any] = found
    return function
