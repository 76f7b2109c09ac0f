"""Trains a small classifier on the spot, so that a data set without a public encoder has features and confidences."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from otcondense.datasets import ImageRecord, UnreadableImageError, decode_image, read_image_bytes
from otcondense.datasets.records import PIXEL_LIMIT, records_identity
from otcondense.encoders.encoder import (
    EncoderConfig,
    TrainEncoderConfig,
)
from otcondense.encoders.transforms import InputSpec
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint, sha256_bytes
from otcondense.threads import one_thread


@dataclass(frozen=True)
class EncoderTraining:
    """How a training ended."""

    weights: str
    """The .safetensors file."""
    accuracy: float
    """Share of the training images that the saved classifier names correctly, 0 to 1."""
    skipped: bool
    """Whether the file was already there with the same fingerprint."""


@dataclass(frozen=True)
class _Data:
    pixels: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]


def train_encoder(
    records: list[ImageRecord],
    config: EncoderConfig,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> EncoderTraining:
    """Train the classifier `config.name` from scratch on `records` and save it to `config.weights`.

    On the CPU the same images and settings give the same bytes. Beside the weights lies a .json file with the settings,
    fingerprint and training accuracy; if it has the fingerprint of this call and the weights, nothing is done.
    `on_progress` gets the number of epochs done and their total.

    Raises: InputError if `train`, `weights` or `num_classes` is not set, or does not fit the images.
    """
    weights, settings = _checked(records, config)
    store, name = Store(str(weights.parent)), weights.name
    mark = fingerprint(
        [
            config.identity(),
            settings,
            records_identity(records),
            [record.class_index for record in records],
        ]
    )
    if (done := _finished(store, name, mark)) is not None:
        return EncoderTraining(str(weights), done, skipped=True)
    spec = config.input_spec()
    data = _load(records, spec)
    with one_thread(), torch.random.fork_rng():
        model = _fit(data, spec, config, settings, on_progress)
        _save(model, weights)
        accuracy = _accuracy(data, config)
    sha256 = sha256_bytes(weights.read_bytes())
    store.write_json(
        f"{name}.json",
        {
            "accuracy": accuracy,
            "encoder": config.identity(),
            "fingerprint": mark,
            "sha256": sha256,
            "train": settings,
        },
    )
    return EncoderTraining(str(weights), accuracy, skipped=False)


def _checked(records: list[ImageRecord], config: EncoderConfig) -> tuple[Path, TrainEncoderConfig]:
    if (
        config.train is None
        or config.weights is None
        or not config.weights.endswith(".safetensors")
    ):
        raise InputError(
            f"to train {config.name}, `train` and a .safetensors file in `weights` must be set, found weights={config.weights}"
        )
    largest = max((record.class_index for record in records), default=-1)
    if config.num_classes is None or largest >= config.num_classes:
        raise InputError(
            f"num_classes of the encoder to train must be at least {largest + 1}, the classes of the source, found {config.num_classes}"
        )
    if len(records) < config.train.batch_size:
        raise InputError(
            f"training {config.name} needs at least batch_size={config.train.batch_size} images, found {len(records)}"
        )
    return Path(config.weights), config.train


def _finished(store: Store, name: str, mark: str) -> float | None:
    """Return the training accuracy of a finished, undamaged training with this fingerprint."""
    if not (store.exists(name) and store.exists(f"{name}.json")):
        return None
    try:
        found = store.read_json(f"{name}.json")
    except InputError:  # damaged, which is mended by training again
        return None
    intact = found["fingerprint"] == mark and found["sha256"] == sha256_bytes(
        store.read_bytes(name)
    )
    return float(found["accuracy"]) if intact else None


def _load(records: list[ImageRecord], spec: InputSpec) -> _Data:
    """Read all images that can be decoded; the extraction stage reports the others."""
    pixels, labels = [], []
    for record in records:
        try:
            image = decode_image(
                read_image_bytes(record.path), channels=spec.channels, max_pixels=PIXEL_LIMIT
            )
        except (OSError, UnreadableImageError):
            continue
        pixels.append(spec.pixels(image))
        labels.append(record.class_index)
    if not pixels:
        raise InputError(
            f"none of the {len(records)} training images can be decoded, the first is {records[0].path}"
        )
    return _Data(torch.stack(pixels), torch.tensor(labels))
