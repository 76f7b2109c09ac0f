"""The weights and the original images that a configuration needs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.run_directory.config import RunConfig
from otcondense.checkpoints.efficientnet_lite import size_of
from otcondense.datasets.fashion import FashionConfig, is_written
from otcondense.encoders import EncoderConfig
from otcondense.encoders.googlenet import GOOGLENET
from otcondense.encoders.transforms import pretrained_config
from otcondense.errors import InputError

MODEL = ("model.safetensors",)
AUTOENCODER = (
    "config.json",
    "diffusion_pytorch_model.safetensors",
    "diffusion_pytorch_model-?????-of-?????.safetensors",
    "diffusion_pytorch_model.safetensors.index.json",
)
"""Of any class of diffusers, in one file or in several; not those of half precision."""
VISION = (
    "config.json",
    "preprocessor_config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
)
"""Files of a model of transformers: its settings, those of its images, its weights."""
TEXT_ENCODER = (
    "config.json",
    "*tokenizer*",
    "special_tokens_map.json",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.safetensors",
    "*.safetensors.index.json",
)
WORDS = ("*tokenizer*", "special_tokens_map.json", "vocab*", "merges.txt", "*.model")
"""Files of a tokenizer."""
TORCHVISION = "torchvision/googlenet"
"""Weights that torchvision fetches from its own address."""
INCEPTION = "torch-fidelity/inception"
"""Weights that torch-fidelity fetches from its own address."""


@dataclass(frozen=True)
class Need:
    """Weights or original images that a configuration needs."""

    used_for: str
    place: str
    """Repository on the hub, file or folder on this machine, `TORCHVISION` or `INCEPTION`; for
    images, the folder that they are written to."""
    patterns: tuple[str, ...] = ()
    """Files of the repository; none for weights that are not on the hub."""
    licence: str = ""
    """As timm records it; empty asks the hub."""
    package: int | None = None
    """Size of EfficientNet-Lite: if the file is missing, it is made from the package with the
    weights of this size."""
    images: FashionConfig | None = None
    """Images that are written from original files."""

    @property
    def is_on_hub(self) -> bool:
        """Whether it is fetched from the hub."""
        return bool(self.patterns)

    @property
    def has_own_address(self) -> bool:
        """Whether a library fetches it from its own address."""
        return self.place in (TORCHVISION, INCEPTION)


def needs(config: RunConfig, kinds: Sequence[str] = ()) -> list[Need]:
    """Return the weights and the original images that a configuration needs, each once.

    Args:
        config: the configuration.
        kinds: representations (latents, tokens, text) that are needed too.
    """
    every = [
        *_image_needs(config),
        *_encoder_needs(config),
        *evaluation_needs(config),
        *(_representation_need(config, kind) for kind in kinds),
    ]
    unique: dict[tuple[str, tuple[str, ...]], Need] = {}
    for need in every:
        unique.setdefault((need.place, need.patterns), need)
    return list(unique.values())


def _image_needs(config: RunConfig) -> Iterator[Need]:
    if config.fashion is not None and not is_written(config.fashion):
        yield Need(
            "images: Fashion-MNIST", config.fashion.path, licence="mit", images=config.fashion
        )


def _encoder_needs(config: RunConfig) -> Iterator[Need]:
    for encoder in config.networks:
        if encoder.train is None and (encoder.is_pretrained or encoder.weights_file):
            yield encoder_need(encoder)
    for reader in [*config.captioning, config.confidence.aligning]:
        place = None if reader is None else reader.transformers_name
        if place is not None:
            patterns = () if Path(place).exists() else (*VISION, *WORDS)
            yield Need(f"captions: {place}", place, patterns)


def evaluation_needs(config: RunConfig) -> Iterator[Need]:
    """Yield what the metrics of samples need."""
    settings = config.evaluation
    if settings.network == "inception":
        place = settings.inception_weights or INCEPTION
        yield Need("evaluation: Inception", place, licence="apache-2.0")
    if settings.reference is not None:
        yield Need("evaluation: ADM's reference", settings.reference)


def encoder_need(encoder: EncoderConfig) -> Need:
    """Return the weights of an encoder.

    Raises: InputError if timm has no such model, or no weights of it.
    """
    if encoder.weights_file is not None:
        size = size_of(encoder.name)
        return Need(f"encoder {encoder.name}", encoder.weights_file, package=size)
    place = encoder.transformers_name
    if place is not None:
        return Need(f"encoder {place}", place, () if Path(place).exists() else VISION)
    if encoder.name == GOOGLENET:
        return Need("encoder googlenet", TORCHVISION, licence="bsd-3-clause")
    known = pretrained_config(encoder.name)
    if not known.get("hf_hub_id"):
        raise InputError(
            f"timm has no pretrained weights of {encoder.name} on the hub; "
            "set `weights` to a .safetensors file"
        )
    return Need(f"encoder {encoder.name}", known["hf_hub_id"], MODEL, known.get("license") or "")


def _representation_need(config: RunConfig, kind: str) -> Need:
    if kind == "tokens":
        tokens = config.tokens
        return encoder_need(EncoderConfig(name=tokens.name, weights=tokens.file, num_classes=0))
    place = config.latents.model if kind == "latents" else config.text.model
    patterns = AUTOENCODER if kind == "latents" else TEXT_ENCODER
    return Need(kind, place, () if Path(place).exists() else patterns)
