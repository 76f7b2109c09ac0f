"""The image sets of a run that are measured: held-out images, chosen images, and samples."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jobs.run_directory.run import Run
from otcondense.datasets import ImageRecord, list_images
from otcondense.datasets.images import ListedImages, manifest_images, record_images
from otcondense.datasets.records import SourceConfig
from otcondense.diffusion.samples import iterate_samples
from otcondense.evaluation import ImageSet
from otcondense.store import read_manifest

UNKNOWN_CLASS = -1
"""Class of held-out images whose class the source does not have."""


@dataclass(frozen=True)
class HeldOutImages:
    """The images that samples are compared with."""

    run: Run

    @property
    def source(self) -> SourceConfig:
        """Their source."""
        source = self.run.config.held_out
        assert source is not None
        return source

    @cached_property
    def records(self) -> Sequence[ImageRecord]:
        """Their list."""
        return list_images(self.source)

    @cached_property
    def pixels(self) -> ListedImages:
        """The images in the size of the samples."""
        return ListedImages(record_images(self.records), self.source, self.run.config.pixels.shape)

    @cached_property
    def images(self) -> ImageSet:
        """The images as a set to measure."""
        return image_set(self.pixels)

    @cached_property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Class of each image by the source's numbers, -1 for a class the source does not have."""
        numbers = {name: number for number, name in self.class_names.items()}
        return np.array([numbers.get(each.class_name, UNKNOWN_CLASS) for each in self.records])

    @cached_property
    def class_names(self) -> dict[int, str]:
        """Names of the source's classes by number; the numbers can have gaps."""
        records = list_images(self.run.config.source)
        return {record.class_index: record.class_name for record in records}


@dataclass(frozen=True)
class SampledImages:
    """The samples of one checkpoint."""

    run: Run
    directory: str
    count: int

    @classmethod
    def of(cls, run: Run, model: str, method: str, step: int) -> "SampledImages":
        """Return the samples of one checkpoint."""
        count = run.config.models[model].sampling.num_samples
        return cls(run, run.samples_directory(model, method, step), count)

    @property
    def images(self) -> ImageSet:
        """The samples as a set to measure."""
        return ImageSet(self._pixels)

    @property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Class of each sample."""
        return np.concatenate([labels for _, labels in self._parts()])

    @property
    def sha256(self) -> str:
        """Digest of all pixels."""
        digest = hashlib.sha256()
        for images, _ in self._parts():
            digest.update(np.ascontiguousarray(images).tobytes())
        return digest.hexdigest()

    def _parts(self) -> Iterator[tuple[UInt8[np.ndarray, "b c h w"], Int[np.ndarray, " b"]]]:
        yield from iterate_samples(self.run.store, self.directory, self.count)

    def _pixels(self) -> Iterator[UInt8[Tensor, "b c h w"]]:
        for images, _ in self._parts():
            yield torch.from_numpy(images)


def chosen_images(run: Run, method: str) -> ListedImages:
    """Return the images of a method's manifest in the size of the samples.

    Raises: InputError if there is no manifest.
    """
    source = run.config.source
    manifest = read_manifest(run.store, run.manifest(method))
    return ListedImages(manifest_images(manifest, source), source, run.config.pixels.shape)


def image_set(images: ListedImages) -> ImageSet:
    """Return listed images as a set to measure."""
    return ImageSet(lambda: map(torch.from_numpy, images.parts()))
