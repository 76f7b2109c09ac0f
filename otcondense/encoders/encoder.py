"""Any timm model, or torchvision's GoogLeNet, as an encoder, by name or with weights from a local file."""

import hashlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from pydantic import Field, model_validator
from torch import Tensor, nn

from otcondense.config import Config
from otcondense.encoders.googlenet import GOOGLENET, GoogLeNet
from otcondense.encoders.presets import resolve_preset
from otcondense.encoders.transforms import InputSpec, pretrained_config
from otcondense.errors import InputError


class TrainEncoderConfig(Config):
    """How a small classifier is trained on the spot."""

    epochs: int = Field(default=6, ge=1)
    """Passes over the training images."""
    batch_size: int = Field(default=64, ge=2)
    """Images per step; a last incomplete batch of an epoch is left out."""
    learning_rate: float = Field(default=6e-3, gt=0)
    """Largest learning rate of the one-cycle schedule of AdamW."""
    weight_decay: float = Field(default=0.05, ge=0)
    """Weight decay of AdamW."""
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    """Share of the target spread evenly over all classes; keeps the confidences of training images apart from 1."""
    seed: int = Field(default=0, ge=0)
    """Seed of the initial weights and of the order of images."""


class EncoderConfig(Config):
    """Which model turns images into features, and how it is run."""

    name: str = "resnet50"
    """Name of a timm model, or a preset: inception-v3, googlenet, resnet-34, resnet-50 (the paper's), dinov2-b14, dinov2-l14."""
    weights: str | None = None
    """Local .safetensors file with the weights; by default timm's pretrained weights are fetched by name."""
    image_size: int | None = Field(default=None, ge=8)
    """Height and width of the model's input in pixels, by default what timm records for the model."""
    in_chans: Literal[1, 3] = 3
    """Colour channels of the input: 3 is RGB, 1 is grey."""
    num_classes: int | None = Field(default=None, ge=0)
    """Classes of the classifier, by default those of the pretrained weights; 0 takes features only, without confidences."""
    crop_pct: float | None = Field(default=None, gt=0, le=1)
    """Share of the resized image that the centre crop keeps, by default what timm records for the model."""
    batch_size: int = Field(default=64, ge=1)
    """Images per forward pass; incomplete batches are padded, since a row's last digits depend on the batch's size."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU where there is one."""
    train: TrainEncoderConfig | None = None
    """If set, the classifier is trained on the source's own images and saved to `weights` before it is used."""

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, values: Any) -> Any:
        return resolve_preset(values)

    def identity(self) -> dict[str, object]:
        """Return the settings that decide the features, for the names of directories; a weights file counts by its name.

        What is in the weights decides as well: `weights_sha256` goes into the fingerprint of every feature file.
        """
        file = None if self.weights is None else Path(self.weights).name
        return {**self.model_dump(mode="json", exclude={"weights", "device"}), "weights": file}

    def input_spec(self) -> InputSpec:
        """Return the size and transform of the model's input.

        Raises: InputError if timm knows no such model.
        """
        return InputSpec.of_model(
            self.name, image_size=self.image_size, channels=self.in_chans, crop_pct=self.crop_pct
        )

    def classes(self) -> int:
        """Return the number of classes of the classifier, 0 for none."""
        return (
            int(pretrained_config(self.name)["num_classes"])
            if self.num_classes is None
            else self.num_classes
        )


class EncoderOutput(NamedTuple):
    """What one forward pass gives."""

    features: Float[Tensor, "b d"]
    """The pooled features before the classifier."""
    logits: Float[Tensor, "b c"] | None
    """The classifier's answer to these features, None without a classifier."""


class Encoder:
    """A model in evaluation mode; call it with normalised images, or with 8-bit pixels through `encode_pixels`."""

    def __init__(self, config: EncoderConfig, model: nn.Module, spec: InputSpec) -> None:
        self.config = config
        self.spec = spec
        self.device = pick_device(config.device)
        self.model = model.eval().requires_grad_(requires_grad=False).to(self.device)
        self.num_classes = config.classes()

    @torch.inference_mode()
    def __call__(self, images: Float[Tensor, "b c h w"]) -> EncoderOutput:
        """Return features and logits of normalised images in one forward pass, in float32 on the encoder's device."""
        model: nn.Module = self.model
        maps = model.forward_features(images.to(self.device))  # type: ignore[operator]
        features = model.forward_head(maps, pre_logits=True)  # type: ignore[operator]
        logits = model.get_classifier()(features) if self.num_classes else None  # type: ignore[operator]
        return EncoderOutput(features.float(), None if logits is None else logits.float())

    def encode_inputs(self, pixels: UInt8[Tensor, "b c h w"]) -> EncoderOutput:
        """Return features and logits of 8-bit pixels that have the model's input size."""
        return self(self.spec.normalize(pixels.to(self.device)))

    def encode_pixels(self, images: UInt8[Tensor, "n k h w"]) -> EncoderOutput:
        """Return features and logits of 8-bit images of any size, grey or RGB, on the CPU.

        The images take the same way as files do (PIL resize, fixed-size padded batches), so that a sample and a file
        with the same pixels get the same features.
        """
        inputs = torch.stack([self.spec.pixels(self._as_image(image)) for image in images])
        size = self.config.batch_size
        outputs = [
            self._padded(inputs[start : start + size]) for start in range(0, len(inputs), size)
        ]
        features = torch.cat([output.features for output in outputs])
        logits = [output.logits for output in outputs if output.logits is not None]
        return EncoderOutput(features, torch.cat(logits) if logits else None)

    def _padded(self, pixels: UInt8[Tensor, "b c h w"]) -> EncoderOutput:
        batch = torch.zeros(self.config.batch_size, *pixels.shape[1:], dtype=torch.uint8)
        batch[: len(pixels)] = pixels
        features, logits = self.encode_inputs(batch)
        return EncoderOutput(
            features[: len(pixels)].cpu(), None if logits is None else logits[: len(pixels)].cpu()
        )

    def _as_image(self, image: UInt8[Tensor, "k h w"]) -> Image.Image:
        array = image.permute(1, 2, 0).cpu().numpy()
        picture = Image.fromarray(
            np.ascontiguousarray(array.squeeze(2) if array.shape[2] == 1 else array)
        )
        return picture.convert("L" if self.config.in_chans == 1 else "RGB")


def pick_device(device: str) -> torch.device:
    """Return the torch device called `device`; auto is CUDA where there is one, else the CPU."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(device)


def build_model(config: EncoderConfig, *, pretrained: bool = False) -> nn.Module:
    """Return timm's model with fresh or pretrained weights.

    Raises: InputError if the pretrained classifier has other classes, or the weights cannot be fetched.
    """
    import timm

    known = pretrained_config(config.name)
    classes = config.classes()
    if pretrained and classes not in (0, known["num_classes"]):
        raise InputError(
            f"the pretrained {config.name} has {known['num_classes']} classes, expected num_classes={classes}; "
            "give the weights of a classifier for these classes, or num_classes=0 to use features only"
        )
    sized: dict[str, Any] = (
        {"img_size": config.image_size} if known["fixed_input_size"] and config.image_size else {}
    )
    try:
        if config.name == GOOGLENET:
            return GoogLeNet(classes, pretrained=pretrained)
        return timm.create_model(
            config.name,
            pretrained=pretrained,
            num_classes=classes,
            in_chans=config.in_chans,
            **sized,
        )
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"the pretrained weights of {config.name} could not be fetched ({reason}); connect this machine to the internet once, or "
            "set `weights` to a .safetensors file that was brought here by other means"
        ) from error


def load_encoder(config: EncoderConfig) -> Encoder:
    """Return the encoder with its weights, from `config.weights` or from timm.

    Raises: InputError if the model or file is missing or they do not fit each other.
    """
    spec = config.input_spec()
    model = build_model(config, pretrained=config.weights is None)
    if config.weights is not None:
        load_weights(model, weights_file(config.weights), config)
    return Encoder(config, model, spec)


def weights_file(weights: str) -> Path:
    """Return the path of a weights file.

    Raises: InputError if it is missing or not a .safetensors file.
    """
    path = Path(weights)
    if path.suffix != ".safetensors":
        raise InputError(
            f"encoder weights must be a .safetensors file (pickled checkpoints can run code), found {weights}"
        )
    if not path.is_file():
        raise InputError(
            f"encoder weights {weights} must be a file, found nothing there; train it or correct the path"
        )
    return path


def load_weights(model: nn.Module, path: Path, config: EncoderConfig) -> None:
    """Load a .safetensors file into a model.

    Raises: InputError naming the tensors that are missing, unexpected or misshaped.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        if not config.classes():
            tensors = without_classifier(tensors, config.name)
        model.load_state_dict(tensors)
    except (SafetensorError, RuntimeError) as error:
        expected = (
            f"{config.name} with in_chans={config.in_chans} and num_classes={config.classes()}"
        )
        raise InputError(f"encoder weights {path} do not fit {expected}: {error}") from error


def without_classifier(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the weights of a model without those of its classifier, which is not used."""
    classifier = pretrained_config(name).get("classifier") or "fc"
    heads = tuple(
        f"{head}." for head in ([classifier] if isinstance(classifier, str) else classifier)
    )
    return {key: tensor for key, tensor in tensors.items() if not key.startswith(heads)}


def weights_sha256(config: EncoderConfig) -> str:
    """Return the SHA-256 of the weights: of the file, or of timm's pretrained tensors in the order of their names.

    Raises: InputError as `load_encoder` does.
    """
    if config.weights is not None:
        return hashlib.sha256(weights_file(config.weights).read_bytes()).hexdigest()
    digest = hashlib.sha256()
    for name, tensor in sorted(build_model(config, pretrained=True).state_dict().items()):
        digest.update(name.encode() + tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
