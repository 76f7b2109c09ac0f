"""Which files with weights a configuration needs, and where each is: on this machine, on the Hugging Face hub, or at torchvision."""

import fnmatch
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.run_directory.config import RunConfig
from otcondense.encoders import EncoderConfig
from otcondense.encoders.googlenet import GOOGLENET
from otcondense.encoders.transforms import pretrained_config
from otcondense.errors import InputError

MODEL = ("model.safetensors",)
AUTOENCODER = ("config.json", "diffusion_pytorch_model.safetensors")
TEXT = (
    "config.json",
    "*tokenizer*",
    "special_tokens_map.json",
    "spiece.model",
    "*.safetensors",
    "*.safetensors.index.json",
)
TORCHVISION, INCEPTION = "torchvision/googlenet", "torch-fidelity/inception"
"""Weights that these libraries fetch by addresses of their own."""
KINDS = ("latents", "tokens", "text")
BLOCK = 1 << 24


@dataclass(frozen=True)
class Need:
    """Weights that a configuration needs."""

    used_for: str
    place: str
    """Repository on the hub, file or folder on this machine, or a model of torchvision."""
    patterns: tuple[str, ...] = ()
    """Files of the repository; none for what is on this machine."""
    licence: str = ""
    """As timm records it; the hub's own word is asked for where it is not known."""

    @property
    def is_on_hub(self) -> bool:
        """Whether it is fetched from the hub."""
        return bool(self.patterns)


@dataclass(frozen=True)
class WeightFile:
    """One file as its hub describes it, or as it lies here."""

    need: Need
    name: str
    size: int
    sha256: str | None
    """None for small files, which the hub does not hash; they are checked against what was fetched first."""
    licence: str
    revision: str = ""
    """Commit of the repository."""

    @property
    def key(self) -> str:
        """Its name in the list of what was fetched."""
        return f"{self.need.place}/{self.name}" if self.need.is_on_hub else self.need.place


def needs(config: RunConfig, kinds: Sequence[str] = ()) -> list[Need]:
    """Return what a configuration needs, each once; `kinds` are the representations (latents, tokens, text) that are needed too."""
    found = [
        *_encoder_needs(config),
        *_evaluation_needs(config),
        *(_representation(config, kind) for kind in kinds),
    ]
    unique: dict[tuple[str, tuple[str, ...]], Need] = {}
    for need in found:
        unique.setdefault((need.place, need.patterns), need)
    return list(unique.values())


def _encoder_needs(config: RunConfig) -> Iterator[Need]:
    for encoder in config.networks:
        if encoder.train is None:
            yield encoder_need(encoder)


def _evaluation_needs(config: RunConfig) -> Iterator[Need]:
    settings = config.evaluation
    if settings.network == "inception":
        yield Need(
            "evaluation: Inception", settings.inception_weights or INCEPTION, licence="apache-2.0"
        )
    if settings.reference is not None:
        yield Need("evaluation: ADM's reference", settings.reference)


def encoder_need(encoder: EncoderConfig) -> Need:
    """Return the weights of an encoder.

    Raises: InputError if timm knows no such model, or has no weights of it.
    """
    if encoder.weights is not None:
        return Need(f"encoder {encoder.name}", encoder.weights)
    if encoder.name == GOOGLENET:
        return Need("encoder googlenet", TORCHVISION, licence="bsd-3-clause")
    known = pretrained_config(encoder.name)
    if not known.get("hf_hub_id"):
        raise InputError(
            f"timm has no pretrained weights of {encoder.name} on the hub; set `weights` to a .safetensors file"
        )
    return Need(f"encoder {encoder.name}", known["hf_hub_id"], MODEL, known.get("license") or "")


def _representation(config: RunConfig, kind: str) -> Need:
    if kind == "tokens":
        return encoder_need(
            EncoderConfig(name=config.tokens.name, weights=config.tokens.file, num_classes=0)
        )
    place, patterns = {
        "latents": (config.latents.model, AUTOENCODER),
        "text": (config.text.model, TEXT),
    }[kind]
    return Need(kind, place, () if Path(place).exists() else patterns)


def describe(need: Need, *, offline: bool = False) -> list[WeightFile]:
    """Return the files of one need with size, SHA-256 and licence.

    Raises: InputError if they are not on this machine, or the hub cannot be asked.
    """
    if need.is_on_hub:
        return _cached(need) if offline else _on_hub(need)
    if need.place in (TORCHVISION, INCEPTION):
        path = _by_address(need, fetch=not offline)
        return [WeightFile(need, path.name, path.stat().st_size, sha256_file(path), need.licence)]
    path = Path(need.place)
    if not path.exists():
        raise InputError(
            f"{need.used_for} needs {path}, found nothing there; bring it here or correct the path"
        )
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    return [
        WeightFile(need, _name_below(path, file), file.stat().st_size, sha256_file(file), "yours")
        for file in files
    ]


def _name_below(path: Path, file: Path) -> str:
    return file.name if file == path else str(file.relative_to(path))


def _on_hub(need: Need) -> list[WeightFile]:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HTTPError

    try:
        info = HfApi().model_info(need.place, files_metadata=True)
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(
            f"the hub does not tell of {need.place} ({_first_line(error)}); is there a network here?"
        ) from error
    licence = str((info.card_data or {}).get("license") or need.licence or "unknown")
    chosen = [
        each
        for each in info.siblings or []
        if any(fnmatch.fnmatch(each.rfilename, pattern) for pattern in need.patterns)
    ]
    if not chosen:
        raise InputError(f"{need.place} must hold {', '.join(need.patterns)}, found none of them")
    return [_hub_file(need, each, licence, str(info.sha)) for each in chosen]


def _hub_file(need: Need, sibling: Any, licence: str, revision: str) -> WeightFile:
    digest = sibling.lfs.sha256 if sibling.lfs else None
    return WeightFile(need, sibling.rfilename, int(sibling.size or 0), digest, licence, revision)


def _cached(need: Need) -> list[WeightFile]:
    """Return the files of one need that are on this machine already."""
    from huggingface_hub import snapshot_download

    try:
        folder = Path(
            snapshot_download(need.place, allow_patterns=list(need.patterns), local_files_only=True)
        )
    except (OSError, ValueError) as error:
        raise InputError(
            f"{need.used_for} needs {need.place}, which is not on this machine; run prefetch where there is a network"
        ) from error
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    chosen = [
        path
        for path in files
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in need.patterns)
    ]
    if not chosen:
        raise InputError(
            f"{need.used_for} needs {need.place}, of which no weights are here; run prefetch where there is a network"
        )
    return [
        WeightFile(
            need,
            str(path.relative_to(folder)),
            path.stat().st_size,
            None,
            need.licence or "unknown",
            folder.name,
        )
        for path in chosen
    ]


def fetch(file: WeightFile, *, offline: bool = False) -> Path:
    """Return the file on this machine, fetched if it is not there.

    Raises: InputError if it cannot be had.
    """
    if not file.need.is_on_hub:
        return (
            _by_address(file.need, fetch=not offline)
            if file.need.place in (TORCHVISION, INCEPTION)
            else _local(file)
        )
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HTTPError

    try:
        return Path(hf_hub_download(file.need.place, file.name, local_files_only=offline))
    except (OSError, ValueError, HTTPError) as error:
        raise InputError(f"{file.key} cannot be fetched: {_first_line(error)}") from error


def _local(file: WeightFile) -> Path:
    path = Path(file.need.place)
    return path if path.is_file() else path / file.name


def _by_address(need: Need, *, fetch: bool) -> Path:
    """Return a file that its library fetches by an address of its own."""
    from otcondense.fetched import fetch_weights, fetched_path

    path = fetched_path(_address(need.place))
    if not fetch and not path.exists():
        raise InputError(
            f"{need.used_for} needs {path.name}, which is not on this machine; run prefetch where there is a network"
        )
    return fetch_weights(_address(need.place))


def _address(place: str) -> str:
    if place == INCEPTION:
        from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

        return str(URL_INCEPTION_V3)
    from torchvision.models import GoogLeNet_Weights

    return str(GoogLeNet_Weights.IMAGENET1K_V1.url)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, block by block."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
