"""What evaluation asks of an encoder, and running one over images in batches of a fixed size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from otcondense.errors import InputError


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
    """Features and logits of an image set, in its order, on the CPU."""

    features: Float[Tensor, "n d"]
    """float64: the metrics' own rounding then plays no part."""
    logits: Float[Tensor, "n c"]


def encode_images(images: UInt8[Tensor, "n c h w"], encoder: ImageEncoder, batch_size: int) -> EncodedImages:
    """Run `encoder` over all images, in order.

    Every batch has exactly `batch_size` images, the last one padded with zeros: a row's result can depend on its batch's size.

    Raises: InputError where the encoder's output does not fit, or where it gives NaN or infinite values.
    """
    outputs = [encode_padded(batch, encoder, batch_size) for batch in torch.split(images, batch_size)]
    return EncodedImages(torch.cat([each.features for each in outputs]), torch.cat([each.logits for each in outputs]))


@torch.no_grad()
def encode_padded(batch: UInt8[Tensor, "b c h w"], encoder: ImageEncoder, batch_size: int) -> EncodedImages:
    """Encode up to `batch_size` images as one batch of exactly `batch_size`, and drop the padding's rows."""
    count = len(batch)
    output = encoder(torch.cat([batch, batch.new_zeros(batch_size - count, *batch.shape[1:])]))
    rows = {part: getattr(output, part) for part in ("features", "logits")}
    for part, values in rows.items():
        if values is None:
            raise InputError(f"encoder {encoder.name} must give {part} for the metrics, found None; use an encoder with a classifier")
        if values.ndim != 2 or len(values) != batch_size:
            expected = f"[{batch_size}, *] for a batch of {batch_size} images"
            raise InputError(f"encoder {encoder.name} must give {part} {expected}, found {tuple(values.shape)}")
        broken = ~values[:count].isfinite().all(dim=1)
        if broken.any():
            raise InputError(
                f"encoder {encoder.name} must give finite {part}, found NaN or infinity for {int(broken.sum())} of {count} images of one "
                "batch; check the encoder's weights and the images"
            )
    return EncodedImages(rows["features"][:count].double().cpu(), rows["logits"][:count].double().cpu())
