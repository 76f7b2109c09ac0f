"""The image sets of a run that are measured: held-out images, chosen images, and samples."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Int

from jobs.judging.full_images import unreadable_held_out
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.datasets import Listing, scan_images
from otcondense.datasets.images import ListedImages, manifest_images, record_images
from otcondense.datasets.records import SourceConfig
from otcondense.diffusion.samples import sample_files, too_few_samples
from otcondense.evaluation import ImageSet
from otcondense.store import fingerprint, read_columns, read_manifest, table_metadata
from pipeline.judged_parts import PixelFile

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
        """Their list, made once by each command, without those that are known to be unreadable."""
        listing = scan_images(self.source)
        lost = unreadable_held_out(self.run)
        if not lost:
            return listing
        is_lost = pc.is_in(listing.table.column("image_id"), pa.array(lost, pa.large_string()))
        return replace(listing, table=listing.table.filter(pc.invert(is_lost)))

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
    model: str
    method: str
    step: int

    @cached_property
    def directory(self) -> str:
        """Directory of the samples."""
        return self.run.samples_directory(self.model, self.method, self.step)

    @property
    def count(self) -> int:
        """Number of samples."""
        return self.run.config.models[self.model].sampling.num_samples

    @cached_property
    def _stored(self) -> list[tuple[PixelFile, Int[np.ndarray, " b"]]]:
        """Each file that holds samples, and their classes; the pixels are not read.

        Raises: InputError if there are too few samples.
        """
        found = []
        left = self.count
        for name in sample_files(self.run.store, self.directory):
            if left == 0:
                break
            table = read_columns(self.run.store, name, ["class_index"])
            labels = table.column("class_index").to_numpy().astype(np.int64)[:left]
            content = str(table_metadata(table)["content"])
            found.append((PixelFile(name, content, len(labels)), labels))
            left -= len(labels)
        if left:
            raise too_few_samples(self.run.store, self.directory, self.count, self.count - left)
        return found

    @property
    def files(self) -> list[PixelFile]:
        """The files of the samples, in their order."""
        return [file for file, _ in self._stored]

    @property
    def classes(self) -> Int[np.ndarray, " n"]:
        """Class of each sample."""
        return np.concatenate([labels for _, labels in self._stored])

    @property
    def digest(self) -> str:
        """Digest of all samples, made of those that their files were written with."""
        return fingerprint([[file.content, file.count] for file in self.files])


def chosen_images(run: Run, method: str) -> ListedImages:
    """Return the images of a method's manifest in the size of the samples.

    Raises: InputError if there is no manifest.
    """
    source = run.config.source
    manifest = read_manifest(run.store, run.manifest(method))
    images = manifest_images(manifest, source, partial(run_listing, run))
    return ListedImages(images, source, run.config.pixels.shape)


def chosen_table(run: Run, methods: Sequence[str]) -> pa.Table:
    """Return `image_id` and `sha256` of the images of some subsets, each image once.

    Raises: InputError if a subset is missing.
    """
    columns = ["image_id", "sha256"]
    manifests = [read_manifest(run.store, run.manifest(method)) for method in methods]
    plain = [table.select(columns).replace_schema_metadata(None) for table in manifests]
    return pa.concat_tables(plain).group_by(columns).aggregate([])


def image_set(images: ListedImages) -> ImageSet:
    """Return listed images as a set to measure."""
    return ImageSet(lambda: map(torch.from_numpy, images.parts()))
