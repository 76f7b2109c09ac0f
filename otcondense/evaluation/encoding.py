"""The interface of encoders, and running one over images in batches of a fixed size."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.datasets.ahead import in_threads
from otcondense.errors import InputError

PARTS = ("features", "logits", "spatial")
"""Outputs of an encoder; only features are required."""


@runtime_checkable
class EncoderOutput(Protocol):
    """Features and class logits of a batch, from one forward pass."""

    @property
    def features(self) -> Tensor: ...

    @property
    def logits(self) -> Tensor | None: ...


@runtime_checkable
class Network(Protocol):
    """What is stored of a network with every metric."""

    @property
    def name(self) -> str: ...

    @property
    def weights_sha256(self) -> str: ...


@runtime_checkable
class ImageEncoder(Network, Protocol):
    """Turns uint8 images [b, c, h, w] into features [b, d] and logits [b, classes]."""

    def __call__(self, images: UInt8[Tensor, "b c h w"], /) -> EncoderOutput: ...


@dataclass(frozen=True)
class NamedEncoder:
    """An `ImageEncoder` from a function, such as `otcondense.encoders.Encoder.encode_pixels`."""

    name: str
    weights_sha256: str
    """Digest of the weights, stored with every metric."""
    encode: Callable[[Tensor], Any]
    """Takes uint8 images [b, c, h, w] and returns an `EncoderOutput`."""

    def __call__(self, images: UInt8[Tensor, "b c h w"], /) -> EncoderOutput:
        output: EncoderOutput = self.encode(images)
        return output


@dataclass(frozen=True)
class EncodedImages:
    """Outputs of an encoder for an image set, in its order."""

    features: Float[Tensor, "n d"]
    logits: Float[Tensor, "n c"] | None
    """None if the encoder has no classifier; then there is no Inception Score."""
    spatial: Float[Tensor, "n s"] | None = None
    """Of Inception only."""

    def __len__(self) -> int:
        return len(self.features)

    def to(self, device: torch.device) -> "EncodedImages":
        """Return the outputs on a device."""
        moved: dict[str, Any] = {}
        for part in PARTS:
            values = getattr(self, part)
            moved[part] = None if values is None else values.to(device)
        return EncodedImages(**moved)


def encode_images(
    images: UInt8[Tensor, "n c h w"] | Iterable[UInt8[Tensor, "_ c h w"]],
    encoder: ImageEncoder,
    batch_size: int,
    threads: int = 1,
) -> EncodedImages:
    """Run `encoder` over all images, in order, some batches at a time if there are `threads`.

    A stream of parts of any size is never in memory as a whole. Every batch has exactly
    `batch_size` images, the last one padded with zeros: a result can depend on the batch size.

    Raises: InputError if an output of the encoder has a wrong shape, or NaN or infinite values.
    """
    parts = [images] if isinstance(images, Tensor) else images
    one = partial(encode_padded, encoder=encoder, batch_size=batch_size)
    batches = _batches(parts, batch_size)
    outputs = list(in_threads(one, batches, threads=threads, ahead=threads))
    return EncodedImages(**{part: _joined(outputs, part) for part in PARTS})


def _joined(outputs: list[EncodedImages], part: str) -> Any:
    """Return one part of all outputs; None if the encoder does not have it."""
    if getattr(outputs[0], part) is None:
        return None
    return torch.cat([getattr(output, part) for output in outputs])


def _batches(
    parts: Iterable[UInt8[Tensor, "_ c h w"]], size: int
) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Cut a stream of parts of any size into batches of `size`; the last one may be shorter."""
    left: list[Tensor] = []
    for part in parts:
        rows = torch.cat([*left, part]) if left else part
        full = len(rows) // size * size
        if full:
            yield from torch.split(rows[:full], size)
        left = [rows[full:]] if len(rows) > full else []
    yield from left


def count_copies(features: Float[Tensor, "n d"]) -> int:
    """Return the number of rows that equal an earlier row to the last bit: copies of an image."""
    return len(features) - len({row.numpy().tobytes() for row in features.cpu()})


@torch.no_grad()
def encode_padded(
    batch: UInt8[Tensor, "b c h w"], encoder: ImageEncoder, batch_size: int
) -> EncodedImages:
    """Encode up to `batch_size` images as one batch of exactly `batch_size`; drop the padding."""
    count = len(batch)
    padding = batch.new_zeros(batch_size - count, *batch.shape[1:])
    output = encoder(torch.cat([batch, padding]))

    rows: dict[str, Any] = {}
    for part in PARTS:
        values = getattr(output, part, None)
        if values is None and part != "features":
            rows[part] = None
            continue
        kept = _checked(encoder.name, part, values, batch_size)[:count].cpu()
        _check_finite(encoder.name, part, kept)
        rows[part] = kept
    return EncodedImages(**rows)


def _checked(encoder: str, part: str, values: Any, batch_size: int) -> Tensor:
    """Return an output of an encoder, checked to have a row for each image."""
    if not isinstance(values, Tensor) or values.ndim != 2 or len(values) != batch_size:
        raise InputError(
            f"encoder {encoder} must give {part} [{batch_size}, *] for a batch of {batch_size} "
            f"images, found {getattr(values, 'shape', values)}"
        )
    return values


def _check_finite(encoder: str, part: str, values: Tensor) -> None:
    broken = ~values.isfinite().all(dim=1)
    if broken.any():
        raise InputError(
            f"encoder {encoder} must give finite {part}, found NaN or infinity for "
            f"{int(broken.sum())} of {len(values)} images of one batch; "
            "check the weights of the encoder and the images"
        )
