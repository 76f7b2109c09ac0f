"""Trains a small classifier during the run, for data sets without a public encoder."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor, nn

from otcondense.datasets import Listing, UnreadableImageError
from otcondense.datasets.ahead import in_threads
from otcondense.datasets.listing import identity_of
from otcondense.datasets.readings import Reading, readings
from otcondense.datasets.records import PIXEL_LIMIT
from otcondense.devices import resolve_device
from otcondense.encoders.encoder import build_model, load_encoder
from otcondense.encoders.encoder_config import EncoderConfig, TrainEncoderConfig
from otcondense.encoders.transforms import InputSpec
from otcondense.errors import InputError
from otcondense.store import Store, fingerprint, sha256_bytes
from otcondense.store.local_files import temporary_path
from otcondense.threads import one_thread

READERS = 8
"""Threads that read images."""
Result = TypeVar("Result")


@dataclass(frozen=True)
class EncoderTraining:
    """Result of a training."""

    weights: str
    """The .safetensors file."""
    accuracy: float
    """Share of the training images that the saved classifier classifies correctly, 0 to 1."""
    skipped: bool
    """Whether the file already existed with the same fingerprint."""


@dataclass(frozen=True)
class _Data:
    pixels: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]


def train_encoder(
    listing: Listing,
    config: EncoderConfig,
    on_progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> EncoderTraining:
    """Train the classifier `config.name` from scratch on a listing and save it to `config.weights`.

    On the CPU the same images and settings give the same bytes. A .json file next to the weights
    holds settings, fingerprint and training accuracy. If it matches this call and the weights, the
    training is skipped. `on_progress` gets the number of finished epochs and their total.

    Raises: InputError if `train`, `weights` or `num_classes` is not set, or does not fit the
        images.
    """
    weights, settings = _checked(listing, config)
    store = Store(str(weights.parent))
    name = weights.name
    marks = _Marks(listing, config, settings)
    if (done := _finished(store, name, marks)) is not None:
        return EncoderTraining(str(weights), done, skipped=True)
    if store.exists(name) and not store.exists(f"{name}.json"):
        raise InputError(
            f"encoder.weights must be a new file if encoder.train is set, found {weights}, which "
            "was not trained here; choose another name, or set encoder.train=null to use it"
        )
    content = marks.content  # before the training: an image that changes meanwhile is noticed
    spec = config.input_spec()
    data = _load(listing, spec)
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
            "fingerprint": marks.fingerprint,
            "images": content,
            "sha256": sha256,
            "train": settings,
        },
    )
    return EncoderTraining(str(weights), accuracy, skipped=False)


def _checked(listing: Listing, config: EncoderConfig) -> tuple[Path, TrainEncoderConfig]:
    if (
        config.train is None
        or config.weights is None
        or not config.weights.endswith(".safetensors")
    ):
        raise InputError(
            f"to train {config.name}, `train` and a .safetensors file in `weights` must be set, "
            f"found weights={config.weights}"
        )
    largest = int(listing.class_index.max(initial=-1))
    if config.num_classes is None or largest >= config.num_classes:
        raise InputError(
            f"num_classes of the encoder to train must be at least {largest + 1}, the number of "
            f"classes of the source, found {config.num_classes}"
        )
    if len(listing) < config.train.batch_size:
        raise InputError(
            f"training {config.name} needs at least batch_size={config.train.batch_size} images, "
            f"found {len(listing)}"
        )
    return Path(config.weights), config.train


@dataclass(frozen=True)
class _Marks:
    """What a training is recognised by."""

    listing: Listing
    config: EncoderConfig
    settings: TrainEncoderConfig

    @cached_property
    def fingerprint(self) -> str:
        """Of settings and images, by the sizes and times of their files."""
        return self._of(identity_of(self.listing.table))

    @cached_property
    def content(self) -> str:
        """Of settings and images, by their content: every image is read."""
        contents = dict(in_storage_order(self.listing, _hash))
        ids = self.listing.table.column("image_id").to_pylist()
        return self._of([[image_id, contents[row]] for row, image_id in enumerate(ids)])

    def _of(self, images: Any) -> str:
        classes = self.listing.class_index.tolist()
        return fingerprint([self.config.identity(), self.settings, images, classes])


def _hash(read: Reading) -> str:
    try:
        return sha256_bytes(read())
    except OSError:
        return "unreadable"


def in_storage_order(
    listing: Listing, function: Callable[[Reading], Result]
) -> Iterator[tuple[int, Result]]:
    """Yield the row of each image and what a function makes of it, in storage order."""
    order = listing.storage_order
    reads = readings(record.path for record in listing.take(order))
    results = in_threads(function, reads, threads=READERS, ahead=READERS)
    yield from zip(order.tolist(), results, strict=True)


def _finished(store: Store, name: str, marks: _Marks) -> float | None:
    """Return the training accuracy of a finished, undamaged training on the same images.

    Images with other times and the same content are the same: the next call need not read them.
    """
    if not (store.exists(name) and store.exists(f"{name}.json")):
        return None
    try:
        found = store.read_json(f"{name}.json")
    except InputError:
        # A damaged file counts as missing: the training runs again.
        return None
    sha256 = sha256_bytes(store.read_bytes(name))
    if found["sha256"] != sha256:
        return None
    if found["fingerprint"] != marks.fingerprint:
        if found.get("images") != marks.content:
            return None
        store.write_json(f"{name}.json", {**found, "fingerprint": marks.fingerprint})
    return float(found["accuracy"])


def _load(listing: Listing, spec: InputSpec) -> _Data:
    """Read all images that can be decoded; the extraction reports the others."""

    def decoded(read: Reading) -> UInt8[Tensor, "c h w"] | None:
        try:
            return spec.read(read(), max_pixels=PIXEL_LIMIT).pixels
        except (OSError, UnreadableImageError):
            return None

    found = sorted(in_storage_order(listing, decoded), key=lambda pair: pair[0])
    pixels = {row: each for row, each in found if each is not None}
    if not pixels:
        raise InputError(
            f"none of the {len(listing)} training images can be decoded, "
            f"the first is {listing.records[0].path}"
        )
    labels = torch.from_numpy(listing.class_index[list(pixels)])
    return _Data(torch.stack(list(pixels.values())), labels)


def _fit(
    data: _Data,
    spec: InputSpec,
    config: EncoderConfig,
    settings: TrainEncoderConfig,
    on_progress: Callable[[int, int], None],
) -> nn.Module:
    steps = len(data.labels) // settings.batch_size
    if steps == 0:
        raise InputError(
            f"batch_size must be at most the {len(data.labels)} training images that can be "
            f"decoded, found {settings.batch_size}"
        )

    torch.manual_seed(settings.seed)
    device = torch.device(resolve_device(config.device))
    model = build_model(config).to(device).train()
    inputs = spec.normalize(data.pixels).to(device)
    labels = data.labels.to(device)

    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.epochs * steps
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    for epoch in range(settings.epochs):
        order = torch.randperm(len(labels))[: steps * settings.batch_size]
        for rows in order.view(steps, -1).to(device):
            loss = loss_of(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        on_progress(epoch + 1, settings.epochs)
    return model


def _save(model: nn.Module, path: Path) -> None:
    """Write the weights atomically."""
    from safetensors.torch import save_file

    tensors = {name: tensor.cpu().contiguous() for name, tensor in model.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_path(path)
    try:
        save_file(tensors, temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _accuracy(data: _Data, config: EncoderConfig) -> float:
    """Return the share of training images that the saved classifier classifies correctly."""
    encoder = load_encoder(config)
    guesses = []
    for part in torch.split(data.pixels, config.batch_size):
        logits = encoder.encode_inputs(part).logits
        assert logits is not None, "a trained classifier has classes"
        guesses.append(logits.argmax(1))
    found = torch.cat(guesses).cpu()
    return float((found == data.labels).double().mean())
