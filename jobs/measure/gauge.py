"""Features of image sets through the networks of a measurement, kept between runs."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from jobs.measure.config import MeasureConfig
from jobs.measure.image_sets import iterate_images
from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.errors import InputError
from otcondense.evaluation import (
    EncodedImages,
    ImageEncoder,
    Inception,
    NamedEncoder,
    encode_images,
)
from otcondense.store import Store, fingerprint


@dataclass(frozen=True)
class Gauge:
    """One network, and what it says of image sets."""

    network: ImageEncoder
    batch_size: int
    cache: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    """What else decides its features, such as the size it resizes to."""

    def encode(self, images: "ImageSet") -> EncodedImages:
        """Return what the network gives for a set, from the cache where it was kept."""
        if self.cache is None:
            return encode_images(images.parts(), self.network, self.batch_size)
        key = fingerprint(
            [
                images.sha256,
                self.network.name,
                self.network.weights_sha256,
                self.batch_size,
                self.settings,
            ]
        )
        store, name = Store(self.cache), f"{key[:16]}.safetensors"
        if store.exists(name):
            try:
                return EncodedImages(**{"logits": None, **load(store.read_bytes(name))})
            except SafetensorError as error:
                raise InputError(
                    f"{store.path(name)} is damaged ({error}); delete it, and it is made again"
                ) from error
        found = encode_images(images.parts(), self.network, self.batch_size)
        store.write_bytes(
            name,
            save(
                {
                    part: value.contiguous()
                    for part, value in vars(found).items()
                    if value is not None
                }
            ),
        )
        return found


@dataclass(frozen=True)
class ImageSet:
    """Images at a path."""

    path: str

    def parts(self) -> Iterable[Tensor]:
        """Yield the images."""
        return iterate_images(self.path)

    @cached_property
    def sha256(self) -> str:
        """Digest of all pixels, their sizes and their order."""
        digest = hashlib.sha256()
        for part in self.parts():
            digest.update(f"{tuple(part.shape[1:])}".encode())
            digest.update(part.contiguous().numpy().tobytes())
        return digest.hexdigest()


def gauge(config: MeasureConfig) -> Gauge:
    """Return the network of the main figures."""
    settings = config.evaluation
    if settings.network == "inception":
        return Gauge(Inception(settings.inception_weights), settings.batch_size, config.cache)
    assert config.judge is not None
    return further_gauge(config.judge, config)


def further_gauge(judge: EncoderConfig, config: MeasureConfig) -> Gauge:
    """Return one more network."""
    network = NamedEncoder(judge.name, weights_sha256(judge), load_encoder(judge).encode_pixels)
    return Gauge(network, config.evaluation.batch_size, config.cache, judge.identity())


def check_sizes(samples: ImageSet, reference: Iterable[Tensor], name: str) -> None:
    """Refuse samples of another size than a reference's images.

    Raises: InputError naming both sizes.
    """
    one, two = (tuple(next(iter(each)).shape[2:]) for each in (samples.parts(), reference))
    if one != two:
        raise InputError(
            f"samples must be of the reference's size {two} (height, width), found {one} against {name}"
        )
