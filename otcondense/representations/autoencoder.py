"""An autoencoder of diffusers by the class that its config.json names, loaded and checked."""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor

from otcondense.errors import InputError
from otcondense.reading import parse_json, read_text
from otcondense.representations.autoencoder_classes import CLASSES, AutoencoderClass
from otcondense.representations.image_model import tensors_sha256

CONFIG_FILE = "config.json"
FIRST_CLASS = "AutoencoderKL"
"""Class of a config.json that names none, and the one whose latents are the oldest."""
SETTING = (
    "latents.model must be an autoencoder of diffusers on the hub, or its local folder with "
    "config.json and .safetensors weights"
)
ADVICE = "download it on a machine with a network and set its folder"


@dataclass(frozen=True)
class Autoencoder:
    """A frozen autoencoder in float32."""

    name: str
    """Its class in diffusers."""
    model: Any

    @property
    def kind(self) -> AutoencoderClass:
        """How its class encodes and decodes."""
        return CLASSES[self.name]

    @property
    def stride(self) -> int:
        """Pixels of the image for each latent, in height and width."""
        return self.kind.stride(self.model)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the weights; for other classes than the first one also of the settings."""
        weights = tensors_sha256(self.model)
        if self.name == FIRST_CLASS:
            return weights
        # Sizes of heads and factors change latents and leave no trace in the weights.
        settings = {key: value for key, value in self.model.config.items() if key[0] != "_"}
        described = json.dumps([self.name, settings, weights], sort_keys=True)
        return hashlib.sha256(described.encode()).hexdigest()

    @property
    def latent_channels(self) -> int:
        """Channels of the latents."""
        config = self.model.config
        return int(config.get("latent_channels", config.get("encoder_hidden_size")))

    @property
    def scaling(self) -> dict[str, float]:
        """`scaling_factor` and `shift_factor` of its latents."""
        return self.kind.scaling(self.model)

    def encode(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return the arrays of images: `mean`, and `std` if it has a posterior."""
        return self.kind.encoded(self.model, pixels)

    def decode(self, latents: Tensor) -> Tensor:
        """Return the images in [-1, 1] of latents in the autoencoder's units."""
        return self.kind.decoded(self.model, latents)

    def check_side(self, side: int) -> None:
        """Refuse images that do not come back in their own size.

        Raises: InputError naming the stride, or the only size.
        """
        only = self.kind.side(self.model)
        if only is not None and side != only:
            raise InputError(
                f"latents.image_size must be {only}, the size that this {self.name} decodes to, "
                f"found {side}; set latents.image_size={only} and pixels.size={only}"
            )
        if side % self.stride:
            raise InputError(
                f"latents.image_size must be a multiple of {self.stride}, the pixels of the image "
                f"for each latent of this {self.name}, found {side}"
            )


def load_autoencoder(model: str) -> Autoencoder:
    """Return the frozen autoencoder of a folder, or of a name on the hub.

    Raises: InputError if it is neither there nor can be downloaded, its class is not taken, or its
        weights are damaged or incomplete.
    """
    name = class_name(settings_of(model), model)
    loaded = _loaded(name, model)
    lacks = CLASSES[name].missing(loaded)
    if lacks is not None:
        raise InputError(f"latents.model must have {lacks} in {model}")
    return Autoencoder(name, loaded.float().eval().requires_grad_(requires_grad=False))


def settings_of(model: str) -> dict[str, Any]:
    """Return the content of the autoencoder's config.json.

    Raises: InputError if it is neither there nor can be downloaded.
    """
    if Path(model).is_dir():
        file = Path(model) / CONFIG_FILE
        found = parse_json(read_text(file, SETTING), str(file))
    else:
        found = _downloaded_settings(model)
    if not isinstance(found, dict):
        raise InputError(f"{CONFIG_FILE} of {model} must hold settings by name; {ADVICE}")
    return found


def _downloaded_settings(model: str) -> Any:
    from diffusers import AutoencoderKL

    load: Any = AutoencoderKL.load_config
    try:
        return load(model)
    except (OSError, ValueError) as error:
        raise InputError(f"{SETTING}, found {model} ({_first_line(error)}); {ADVICE}") from error


def class_name(settings: dict[str, Any], model: str) -> str:
    """Return the class that the settings of `model` name.

    Raises: InputError if it is not one of `CLASSES`.
    """
    name = settings.get("_class_name", FIRST_CLASS)
    if name not in CLASSES:
        raise InputError(
            f"_class_name in {CONFIG_FILE} of latents.model={model} must be one of "
            f"{', '.join(CLASSES)}, found {name!r}; choose another autoencoder"
        )
    return str(name)


def library_class(name: str) -> Any:
    """Return a class of the installed diffusers.

    Raises: InputError if the installed version is too old for it, or a package is missing.
    """
    import diffusers

    found = getattr(diffusers, name, None)
    if found is None:
        raise InputError(
            f"latents.model is an {name}, which diffusers {diffusers.__version__} does not have; "
            "install a newer one: pip install --upgrade diffusers"
        )
    package = CLASSES[name].package
    if package is not None and find_spec(package) is None:
        raise InputError(
            f"latents.model is an {name}, which needs the package {package}; "
            "install it: pip install -c constraints.txt 'otcondense[text]'"
        )
    return found


def _loaded(name: str, model: str) -> Any:
    """Return the model with its weights.

    Raises: InputError if they are missing, damaged, of another shape or incomplete.
    """
    from safetensors import SafetensorError

    load = library_class(name).from_pretrained
    try:
        loaded, report = load(model, use_safetensors=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, SafetensorError, TypeError) as error:
        raise InputError(
            f"{SETTING}, found {name} {model} whose weights cannot be loaded "
            f"({_first_line(error)}); {ADVICE}"
        ) from error
    missing = sorted(report["missing_keys"])
    if missing:
        raise InputError(
            f"latents.model must hold all weights of an {name}, {len(missing)} are missing in "
            f"{model}, the first is {missing[0]}; {ADVICE}"
        )
    return loaded


def _first_line(error: Exception) -> str:
    lines = str(error).splitlines()
    return lines[0] if lines else type(error).__name__
