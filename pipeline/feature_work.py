"""Features as a kind of extraction: a timm model, its logits and its confidences."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from otcondense.devices import DeviceSetting, resolve_device
from otcondense.encoders import (
    DecodedInput,
    Encoder,
    EncoderConfig,
    InputSpec,
    cross_entropy,
    entropy,
    load_encoder,
    max_prob,
    weights_sha256,
)
from otcondense.errors import InputError
from otcondense.store import ClassFeatures, Store, fingerprint, read_array, write_class_features
from pipeline.images import BatchTransform, Transform
from pipeline.work import ClassRows

CONFIDENCES = ("cross_entropy", "entropy", "max_prob")
RESULTS = ("features", "logits", *CONFIDENCES)


@dataclass(frozen=True)
class FeatureWork:
    """The extraction of features."""

    encoder: EncoderConfig
    weights_sha256: str
    """Of the encoder; the run fails if the weights of a worker differ."""
    max_pixels: int

    @property
    def batch_size(self) -> int:
        """Images that the network gets at once."""
        return self.encoder.batch_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an input."""
        return self.encoder.input_spec().shape

    @property
    def device(self) -> DeviceSetting:
        """Of the network, as configured."""
        return self.encoder.device

    @property
    def needs_every_image(self) -> bool:
        """Images that cannot be used are listed and left out."""
        return False

    @property
    def key(self) -> str:
        """Fingerprint of all settings and weights."""
        return fingerprint([self.weights_sha256, self.encoder.identity(), self.max_pixels])

    def transform(self) -> Transform:
        """Return what turns the bytes of an image into pixels."""
        return feature_transform(self.encoder, self.max_pixels)

    def load(self, *, assigned: bool | None = None) -> "FeatureNetwork":
        """Load the encoder.

        Args:
            assigned: whether the cluster gave the worker a GPU; None without a cluster.

        Raises: InputError if its weights have changed since the extraction was planned, or its GPU
            cannot be used.
        """
        device = resolve_device(
            self.encoder.device, assigned=assigned, on_cpu=f"device=cpu for {self.encoder.name}"
        )
        if weights_sha256(self.encoder) != self.weights_sha256:
            raise InputError(
                f"the weights {self.encoder.weights} of {self.encoder.name} changed during the "
                "run; run the stage again"
            )
        encoder = load_encoder(self.encoder.model_copy(update={"device": device}))
        return FeatureNetwork(encoder, self.max_pixels)

    def write_class(self, store: Store, directory: str, rows: ClassRows) -> None:
        """Write the feature file of one class, or of a part of it."""
        table = rows.table
        known = {name: read_array(table, name) for name in RESULTS if name in table.column_names}
        features = ClassFeatures(
            class_name=rows.plan.name,
            class_index=rows.plan.index,
            image_ids=table.column("image_id").to_pylist(),
            features=known["features"],
            logits=known.get("logits"),
            width=table.column("width").to_numpy(),
            height=table.column("height").to_numpy(),
            sha256=table.column("sha256").to_pylist(),
            part=rows.plan.part,
            **{name: known.get(name) for name in CONFIDENCES},
        )
        write_class_features(
            store,
            directory,
            features,
            fingerprint=rows.plan.fingerprint,
            inputs=rows.plan.inputs,
            transform=self.encoder.transform,
        )


def feature_transform(encoder: EncoderConfig, max_pixels: int) -> Transform:
    """Return what turns the bytes of an image into the input of an encoder."""
    return spec_transform(encoder.input_spec(), max_pixels)


def spec_transform(spec: InputSpec, max_pixels: int) -> Transform:
    """Return what turns the bytes of an image into the input of a model."""

    def read(data: bytes) -> DecodedInput:
        return spec.read(data, max_pixels=max_pixels)

    return read


class FeatureNetwork:
    """An encoder with the confidences of its classifier."""

    def __init__(self, encoder: Encoder, max_pixels: int) -> None:
        self._encoder = encoder
        self._max_pixels = max_pixels

    @property
    def batch_transform(self) -> BatchTransform | None:
        """What decodes the images of a batch on the GPU; None if threads do it."""
        if self._encoder.config.decode_on == "cpu":
            return None
        device = self._encoder.device
        return partial(self._encoder.spec.read_batch, max_pixels=self._max_pixels, device=device)

    @property
    def device(self) -> torch.device:
        """Where the encoder computes."""
        return self._encoder.device

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], class_index: Int64[Tensor, " b"]
    ) -> dict[str, Tensor]:
        """Return `features` [b, d] and, with a classifier, its logits and confidences."""
        features, logits = self._encoder.encode_inputs(pixels)
        if logits is None:
            return {"features": features}
        return {
            "features": features,
            "logits": logits,
            "cross_entropy": cross_entropy(logits, class_index),
            "entropy": entropy(logits),
            "max_prob": max_prob(logits),
        }
