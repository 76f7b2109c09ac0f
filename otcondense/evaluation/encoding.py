"""What evaluation asks of an encoder, and running one over images in batches of a fixed size."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.errors import InputError

PARTS = ("features", "logits", "spatial")
"""What an encoder may give; only features it must."""


@runtime_checkable
class EncoderOutput(Protocol):
    """Features and class logits of a batch, from one forward pass."""

    @property
    def features(self) -> Tensor: ...

    @property
    def logits(self) -> Tensor | None: ...


@runtime_checkable
class ImageEncoder(Protocol):
    """Anything that turns uint8 images [b, c, h, w] into features [b, d] and logits [b, classes]."""

    @property
    def name(self) -> str: ...

    @property
    def weights_sha256(self) -> str: ...

    def __call__(self, images: UInt8[Tensor, "b c h w"], /) -> EncoderOutput: ...


@dataclass(frozen=True)
class NamedEncoder:
    """An `ImageEncoder` made of a function, such as `otcondense.encoders.Encoder.encode_pixels`."""

    name: str
    weights_sha256: str
    """Hash of the weights, recorded with every figure."""
    encode: Callable[[Tensor], Any]
    """Takes uint8 images [b, c, h, w], gives an `EncoderOutput`."""

    def __call__(self, images: UInt8[Tensor, "b c h w"], /) -> EncoderOutput:
        output: EncoderOutput = self.encode(images)
        return output


@dataclass(frozen=True)
class EncodedImages:
    """Features and logits of an image set, in its order, on the CPU, in the encoder's precision."""

    features: Float[Tensor, "n d"]
    logits: Float[Tensor, "n c"] | None
    """None where the encoder has no classifier: there is no Inception Score then."""
    spatial: Float[Tensor, "n s"] | None = None
    """Of Inception alone."""

    def __len__(self) -> int:
        return len(self.features)


def encode_images(
    images: UInt8[Tensor, "n c h w"] | Iterable[UInt8[Tensor, "_ c h w"]],
    encoder: ImageEncoder,
    batch_size: int,
) -> EncodedImages:
    """Run `encoder` over all images, in order; a stream of parts of any size is never in memory as a whole.

    Every batch has exactly `batch_size` images, the last one padded with zeros: a row's result can depend on its batch's size.

    Raises: InputError where the encoder's output does not fit, or where it gives NaN or infinite values.
    """
    parts = [images] if isinstance(images, Tensor) else images
    outputs = [encode_padded(batch, encoder, batch_size) for batch in _batches(parts, batch_size)]
    return EncodedImages(
        **{part: _joined([getattr(each, part) for each in outputs]) for part in PARTS}
    )


def _joined(rows: list[Tensor | None]) -> Any:
    return None if rows[0] is None else torch.cat([each for each in rows if each is not None])


def _batches(
    parts: Iterable[UInt8[Tensor, "_ c h w"]], size: int
) -> Iterator[UInt8[Tensor, "b c h w"]]:
    """Cut a stream into batches of `size`, whatever the size of its parts; the last one may be shorter."""
    left: list[Tensor] = []
    for part in parts:
        rows = torch.cat([*left, part]) if left else part
        full = len(rows) // size * size
        yield from torch.split(rows[:full], size) if full else ()
        left = [rows[full:]] if len(rows) > full else []
    yield from left


@torch.no_grad()
def encode_padded(
    batch: UInt8[Tensor, "b c h w"], encoder: ImageEncoder, batch_size: int
) -> EncodedImages:
    """Encode up to `batch_size` images as one batch of exactly `batch_size`, and drop the padding's rows."""
    count = len(batch)
    output = encoder(torch.cat([batch, batch.new_zeros(batch_size - count, *batch.shape[1:])]))
    rows = {part: getattr(output, part, None) for part in PARTS}
    for part, values in rows.items():
        if values is None and part != "features":
            continue
        if not isinstance(values, Tensor) or values.ndim != 2 or len(values) != batch_size:
            expected = f"[{batch_size}, *] for a batch of {batch_size} images"
            raise InputError(
                f"encoder {encoder.name} must give {part} {expected}, found {getattr(values, 'shape', values)}"
            )
        broken = ~values[:count].isfinite().all(dim=1)
        if broken.any():
            raise InputError(
                f"encoder {encoder.name} must give finite {part}, found NaN or infinity for {int(broken.sum())} of {count} images of one "
                "batch; check the encoder's weights and the images"
            )
    kept: dict[str, Any] = {
        part: None if values is None else values[:count].cpu() for part, values in rows.items()
    }
    return EncodedImages(**kept)
