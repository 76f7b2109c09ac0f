"""The image sets of a run that are measured: held-out images, chosen images, and samples."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets import Listing, scan_images
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
    def listing(self) -> Listing:
        """Their list, made once by each command."""
        return scan_images(self.source)

    @cached_property
    def pixels(self) -> ListedImages:
        """The images in the size of the samples."""
        images = record_images(self.listing.records)
        return ListedImages(images, self.source, self.run.config.pixels.shape)

    @cached_property
    def images(self) -> ImageSet:
        """The images as a set to measure."""
        return image_set(self.pixels)

    @cached_property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Class of each image by the source's numbers, -1 for a class the source does not have."""
        numbers = {name: number for number, name in self.class_names.items()}
        known = np.array([numbers.get(name, UNKNOWN_CLASS) for name in self.listing.classes])
        return np.asarray(known[self.listing.class_index])

    @cached_property
    def class_names(self) -> dict[int, str]:
        """Names of the source's classes by number; the numbers can have gaps."""
        listing = run_listing(self.run)
        return {listing.index_of(name): name for name in listing.names}


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
    images = manifest_images(manifest, source, partial(run_listing, run))
    return ListedImages(images, source, run.config.pixels.shape)


def image_set(images: ListedImages) -> ImageSet:
    """Return listed images as a set to measure."""
    return ImageSet(lambda: map(torch.from_numpy, images.parts()))
