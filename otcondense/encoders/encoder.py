"""Any timm model, one of transformers, a user's function, or the pixels themselves: an encoder."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from otcondense.datasets.fast_decoding import with_channels
from otcondense.devices import resolve_device
from otcondense.encoders.encoder_config import RANDOM, EncoderConfig
from otcondense.encoders.googlenet import GOOGLENET, GoogLeNet
from otcondense.encoders.own_code import build_own
from otcondense.encoders.pixels import PixelModel
from otcondense.encoders.presets import PIXELS
from otcondense.encoders.transformers_model import build_transformers
from otcondense.encoders.transforms import InputSpec, pretrained_config
from otcondense.errors import InputError
from otcondense.reading import RefusedFileError, open_regular
from otcondense.tensor_names import encoder_misfit, shapes_of


class EncoderOutput(NamedTuple):
    """Outputs of one forward pass."""

    features: Float[Tensor, "b d"]
    """The pooled features before the classifier."""
    logits: Float[Tensor, "b c"] | None
    """Outputs of the classifier for these features; None without a classifier."""


class Encoder:
    """A model in evaluation mode.

    Call it with normalised images, or call `encode_pixels` with 8-bit pixels.
    """

    def __init__(self, config: EncoderConfig, model: nn.Module, spec: InputSpec) -> None:
        self.config = config
        self.spec = spec
        self.device = torch.device(resolve_device(config.device))
        model = model.eval().requires_grad_(requires_grad=False).to(self.device)
        self.dtype = torch.float32
        if config.precision == "bfloat16":
            self.dtype = torch.bfloat16
            model = model.to(self.dtype)
        if config.precision == "bfloat16" or self.device.type == "cuda":
            # Tensor cores read convolutions in this order.
            model = model.to(memory_format=torch.channels_last)
        self.model = model
        self.num_classes = config.classes()

    @torch.inference_mode()
    def __call__(self, images: Float[Tensor, "b c h w"]) -> EncoderOutput:
        """Return features and logits of normalised images in one forward pass.

        They are in float32 on the encoder's device.
        """
        model: nn.Module = self.model
        inputs = images.to(self.device, self.dtype)
        logits = None
        with products_in_tf32(allowed=self.config.precision == "tf32"):
            maps = model.forward_features(inputs)  # type: ignore[operator]
            features = model.forward_head(maps, pre_logits=True)  # type: ignore[operator]
            if self.num_classes:
                logits = model.get_classifier()(features)  # type: ignore[operator]
        return EncoderOutput(features.float(), None if logits is None else logits.float())

    def encode_inputs(self, pixels: UInt8[Tensor, "b c h w"]) -> EncoderOutput:
        """Return features and logits of 8-bit pixels that have the model's input size."""
        return self(self.spec.normalize(pixels.to(self.device)))

    def encode_pixels(self, images: UInt8[Tensor, "n k h w"]) -> EncoderOutput:
        """Return features and logits of 8-bit images of any size, grey or RGB, on the CPU.

        The images are processed like files (the same resize, padded batches of a fixed size), so
        that a sample and a file with the same pixels get the same features.
        """
        inputs = torch.stack([self._input(image) for image in images])
        outputs = [self._padded(part) for part in torch.split(inputs, self.config.batch_size)]
        features = torch.cat([output.features for output in outputs])
        logits = [output.logits for output in outputs if output.logits is not None]
        return EncoderOutput(features, torch.cat(logits) if logits else None)

    def _input(self, image: UInt8[Tensor, "k h w"]) -> UInt8[Tensor, "c h2 w2"]:
        pixels = with_channels(image.cpu(), self.spec.channels)
        place = self.device if self.config.decode_on == "gpu" else torch.device("cpu")
        return self.spec.fit(pixels.to(place))

    def _padded(self, pixels: UInt8[Tensor, "b c h w"]) -> EncoderOutput:
        count = len(pixels)
        batch = torch.zeros(self.config.batch_size, *pixels.shape[1:], dtype=torch.uint8)
        batch[:count] = pixels
        features, logits = self.encode_inputs(batch)
        kept = None if logits is None else logits[:count].cpu()
        return EncoderOutput(features[:count].cpu(), kept)


@contextmanager
def products_in_tf32(*, allowed: bool) -> Iterator[None]:
    """Let a GPU round the factors of float32 products and convolutions to TF32, or forbid it.

    Left alone, torch rounds those of convolutions and not of other products.
    """
    switches: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [switch.allow_tf32 for switch in switches]
    try:
        for switch in switches:
            switch.allow_tf32 = allowed
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.allow_tf32 = value


def build_model(config: EncoderConfig, *, pretrained: bool = False) -> nn.Module:
    """Return a network with fresh or pretrained weights.

    Raises: InputError if the pretrained classifier has other classes, or the weights cannot be
        fetched.
    """
    import timm

    if config.name == PIXELS:
        return PixelModel()
    if config.transformers_name is not None:
        return build_transformers(config, pretrained=pretrained)
    if config.is_own_code:
        return build_own(config)
    known = pretrained_config(config.name)
    classes = config.classes()
    if pretrained and classes not in (0, known["num_classes"]):
        raise InputError(
            f"the pretrained {config.name} has {known['num_classes']} classes, expected "
            f"num_classes={classes}; give the weights of a classifier for these classes, or "
            "num_classes=0 to use only features"
        )
    sized: dict[str, Any] = {}
    if known["fixed_input_size"] and config.image_size:
        sized["img_size"] = config.image_size
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
            f"the pretrained weights of {config.name} could not be fetched ({reason}); connect "
            "this machine to the internet once, or copy a .safetensors file here and set `weights`"
        ) from error


def load_encoder(config: EncoderConfig) -> Encoder:
    """Return the encoder with its weights: from a file, from timm, or random ones.

    Raises: InputError if the model or file is missing or they do not fit each other.
    """
    spec = config.input_spec()
    model = _model_without_file(config)
    if config.weights_file is not None:
        load_weights(model, weights_file(config.weights_file), config)
    return Encoder(config, model, spec)


def _model_without_file(config: EncoderConfig) -> nn.Module:
    """Return the model with all that its configuration decides, except a file of weights.

    Raises: InputError as `build_model` does.
    """
    if config.weights != RANDOM:
        return build_model(config, pretrained=config.is_pretrained)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.weights_seed)
        return build_model(config)


def weights_file(weights: str) -> Path:
    """Return the path of a weights file.

    Raises: InputError if it is missing or not a .safetensors file.
    """
    path = Path(weights)
    if path.suffix != ".safetensors":
        raise InputError(
            "encoder weights must be a .safetensors file (pickled checkpoints can run code), "
            f"found {weights}"
        )
    try:
        open_regular(path).close()
    except RefusedFileError as error:
        raise InputError(f"encoder weights {error}") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(
            f"encoder weights {weights} must be a file, found nothing there; "
            "train the encoder, run prefetch (which makes EfficientNet-Lite), or correct the path"
        ) from error
    return path


def load_weights(model: nn.Module, path: Path, config: EncoderConfig) -> None:
    """Load a .safetensors file into a model.

    Raises: InputError naming the first tensors that differ, and the likely cause.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors = load_file(path)
        if not config.classes():
            tensors = without_classifier(tensors, config.name)
    except (SafetensorError, RuntimeError, ValueError) as error:
        raise InputError(
            f"encoder weights {path} must be a whole .safetensors file, found one that cannot be "
            f"read ({error}); fetch or train it again"
        ) from error
    wanted, found = shapes_of(model.state_dict()), shapes_of(tensors)
    difference = encoder_misfit(wanted, found)
    if difference is not None:
        raise InputError(
            f"encoder weights {path} do not fit {config.name} with in_chans={config.in_chans} and "
            f"num_classes={config.classes()}: {difference}"
        )
    model.load_state_dict(tensors)


def without_classifier(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Return the weights of a model without those of its classifier, which is not used."""
    classifier = pretrained_config(name).get("classifier") or "fc"
    layers = [classifier] if isinstance(classifier, str) else classifier
    heads = tuple(f"{layer}." for layer in layers)
    return {key: tensor for key, tensor in tensors.items() if not key.startswith(heads)}


def weights_sha256(config: EncoderConfig) -> str:
    """Return the SHA-256 of the weights.

    It is of the file, or of the pretrained or the random tensors in the order of their names. The
    input of a model of transformers, which is in a file beside its weights, counts too.

    Raises: InputError as `load_encoder` does.
    """
    if config.weights_file is not None:
        with open_regular(weights_file(config.weights_file)) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    if config.transformers_name is not None:
        digest.update(repr(config.input_spec()).encode())
    for name, tensor in sorted(_model_without_file(config).state_dict().items()):
        content = tensor.detach().cpu().flatten().view(torch.uint8)  # numpy has no bfloat16
        digest.update(name.encode() + content.numpy().tobytes())
    return digest.hexdigest()
