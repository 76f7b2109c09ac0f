"""Latents, tokens and small pixels as a kind of extraction: arrays of chosen images."""

import json
from dataclasses import dataclass

import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from otcondense.datasets import decode_image
from otcondense.devices import DeviceSetting, resolve_device
from otcondense.encoders.transforms import DecodedInput
from otcondense.errors import InputError
from otcondense.representations import RepresentationConfig
from otcondense.representations.crop import adm_center_crop
from otcondense.representations.image_model import ImageModel
from otcondense.representations.tables import (
    KINDS,
    class_fingerprint,
    write_class_table,
)
from otcondense.store import Store, fingerprint, read_array
from pipeline.images import Transform
from pipeline.shard_files import IMAGE_COLUMNS
from pipeline.work import ClassRows


@dataclass(frozen=True)
class RepresentationWork:
    """The extraction of latents or tokens."""

    kind: str
    """Key of `KINDS`."""
    config: RepresentationConfig
    weights_sha256: str
    """Of the model."""
    facts: str
    """What a reader of the arrays needs to know, as JSON."""
    max_pixels: int

    @property
    def batch_size(self) -> int:
        """Images that the model gets at once."""
        return self.config.batch_size

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a crop."""
        return (3, self.config.image_size, self.config.image_size)

    @property
    def device(self) -> DeviceSetting:
        """Of the network, as configured."""
        return self.config.device

    @property
    def needs_every_image(self) -> bool:
        """The images were chosen, so none may be missing."""
        return True

    @property
    def key(self) -> str:
        """Fingerprint of all settings and weights."""
        identity = self.config.identity()
        return fingerprint([self.kind, identity, self.weights_sha256, self.max_pixels])

    def transform(self) -> Transform:
        """Return what turns the bytes of an image into its crop."""

        def read(data: bytes) -> DecodedInput:
            image = decode_image(data, channels=3, max_pixels=self.max_pixels)
            crop = adm_center_crop(image, self.config.image_size)
            return DecodedInput(crop, image.width, image.height)

        return read

    def load(self, *, assigned: bool | None = None) -> "RepresentationNetwork":
        """Load the model.

        Args:
            assigned: whether the cluster gave the worker a GPU; None without a cluster.

        Raises: InputError if its weights have changed since the extraction was planned, or its GPU
            cannot be used.
        """
        device = resolve_device(
            self.config.device, assigned=assigned, on_cpu=f"{self.kind}.device=cpu"
        )
        model = load_model(self.kind, self.config.model_copy(update={"device": device}))
        if model.sha256 != self.weights_sha256:
            raise InputError(
                f"the weights of the model for {self.kind} changed during the run; "
                "run the stage again"
            )
        return RepresentationNetwork(model, mirror=self.config.mirror)

    def fingerprint_of(self, name: str, images: list[tuple[str, str]]) -> str:
        """Return the fingerprint of the file of one class: ids and hashes of its images."""
        return class_fingerprint(self.config, self.weights_sha256, name, images)

    def write_class(self, store: Store, directory: str, rows: ClassRows) -> None:
        """Write the table of one class: a row for each orientation of each image."""
        assert not rows.lost, "every chosen image is needed"
        arrays = {
            name: read_array(rows.table, name)
            for name in rows.table.column_names
            if name not in IMAGE_COLUMNS
        }
        table = rows.class_table(arrays)
        facts = {
            "image_size": self.config.image_size,
            "weights_sha256": self.weights_sha256,
            **json.loads(self.facts),
        }
        write_class_table(store, directory, table, facts, rows.plan.fingerprint)


def load_model(kind: str, config: RepresentationConfig) -> ImageModel:
    """Return the model of a kind."""
    _, model = KINDS[kind]
    loaded: ImageModel = model(config)
    return loaded


class RepresentationNetwork:
    """A model that also sees the mirror images."""

    batch_transform = None

    def __init__(self, model: ImageModel, *, mirror: bool) -> None:
        self._model = model
        self._mirror = mirror

    @property
    def device(self) -> torch.device:
        """Where the model computes."""
        return self._model.device

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], _class_index: Int64[Tensor, " b"]
    ) -> dict[str, Tensor]:
        """Return the results for each image as [b, orientations, ...]."""
        found = [self._model(pixels)]
        if self._mirror:
            found.append(self._model(pixels.flip(3)))
        return {name: torch.stack([each[name] for each in found], dim=1) for name in found[0]}
