"""What all measurements of a run share: its networks, and what they say of the held-out images and of the subsets."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from jobs.run_directory.run import Run, identity
from otcondense.datasets import ImageRecord, list_images, records_identity
from otcondense.datasets.images import ListedImages, manifest_images, record_images
from otcondense.datasets.records import SourceConfig
from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.evaluation import (
    METRICS_VERSION,
    EncodedImages,
    EvaluationConfig,
    ImageEncoder,
    Inception,
    NamedEncoder,
    encode_images,
    npz_images,
    read_reference,
)
from otcondense.store import read_manifest, sha256_bytes


@dataclass(frozen=True)
class HeldOut:
    """The images that samples are compared with."""

    run: Run

    @property
    def source(self) -> SourceConfig:
        """Where they are."""
        source = self.run.config.held_out
        assert source is not None
        return source

    @cached_property
    def records(self) -> list[ImageRecord]:
        """Their list."""
        return list_images(self.source)

    @cached_property
    def pixels(self) -> ListedImages:
        """The images in the samples' size."""
        return ListedImages(record_images(self.records), self.source, self.run.config.pixels.shape)

    @cached_property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Class of each as the source numbers them, -1 for one that the source has not."""
        numbers = {name: number for number, name in self.class_names.items()}
        return np.array([numbers.get(record.class_name, -1) for record in self.records])

    @cached_property
    def class_names(self) -> dict[int, str]:
        """Names of the source's classes by their numbers, which need not be all numbers from 0 on."""
        return {
            record.class_index: record.class_name for record in list_images(self.run.config.source)
        }


def chosen_images(run: Run, method: str) -> ListedImages:
    """Return the images of a method's manifest in the samples' size.

    Raises: InputError if there is no manifest.
    """
    source = run.config.source
    return ListedImages(
        manifest_images(read_manifest(run.store, run.manifest(method)), source),
        source,
        run.config.pixels.shape,
    )


@dataclass(frozen=True)
class View:
    """One network and what it says; images are never in memory as a whole."""

    network: ImageEncoder
    images: HeldOut
    _training: dict[str, EncodedImages] = field(default_factory=dict)

    @cached_property
    def held_out(self) -> EncodedImages:
        """The network's answer to the held-out images."""
        return self.encode(map(torch.from_numpy, self.images.pixels.parts()))

    def training(self, method: str) -> EncodedImages:
        """Return the network's answer to the images that a method chose."""
        if method not in self._training:
            self._training[method] = self.encode(
                map(torch.from_numpy, chosen_images(self.images.run, method).parts())
            )
        return self._training[method]

    def encode(self, parts: Iterable[Tensor]) -> EncodedImages:
        """Run the network over a stream of images."""
        return encode_images(parts, self.network, self.images.run.config.evaluation.batch_size)


@dataclass(frozen=True)
class Evaluation:
    """The views of a run, each made when the first measurement needs it."""

    run: Run

    @cached_property
    def images(self) -> HeldOut:
        """The held-out images."""
        return HeldOut(self.run)

    @cached_property
    def judge(self) -> View:
        """The network that all figures are made with."""
        if self.settings.network == "inception":
            return View(
                Inception(self.settings.inception_weights, self.run.config.judge_or_encoder.device),
                self.images,
            )
        return View(_named(self.run.config.judge_or_encoder), self.images)

    @cached_property
    def further(self) -> dict[str, View]:
        """Further networks by the name that their figures bear."""
        return {
            name: View(_named(config), self.images)
            for name, config in self.run.config.judges.items()
        }

    @property
    def settings(self) -> EvaluationConfig:
        """Settings of the metrics."""
        return self.run.config.evaluation

    @cached_property
    def reference_images(self) -> Tensor | None:
        """Features of the images in ADM's reference file."""
        path = self.settings.reference
        return None if path is None else self.judge.encode(npz_images(path)).features

    @cached_property
    def inputs(self) -> list[Any]:
        """What every figure depends on beside the samples."""
        config, judges = self.run.config, self.run.config.judges
        held_out = [identity(self.images.source), records_identity(self.images.records)]
        judge = identity(config.judge_or_encoder)
        own = [
            METRICS_VERSION,
            held_out,
            self.weights,
            judge,
            identity(self.settings),
            self.reference_sha256,
        ]
        return [
            *own,
            *(
                [
                    [name, identity(each), weights_sha256(each)]
                    for name, each in sorted(judges.items())
                ]
            ),
        ]

    @property
    def weights(self) -> str:
        """SHA-256 of the judge's weights."""
        inception = self.settings.network == "inception"
        return (
            self.judge.network.weights_sha256
            if inception
            else weights_sha256(self.run.config.judge_or_encoder)
        )

    @property
    def reference_sha256(self) -> str | None:
        """SHA-256 of the statistics in ADM's reference file."""
        if self.settings.reference is None:
            return None
        pool = read_reference(self.settings.reference).pool
        return sha256_bytes(pool.mean.numpy().tobytes() + pool.covariance.numpy().tobytes())


def _named(config: EncoderConfig) -> NamedEncoder:
    return NamedEncoder(config.name, weights_sha256(config), load_encoder(config).encode_pixels)
