"""What an extraction makes of images: the parts that differ between features and latents."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Bool, Int32, Int64, UInt8
from torch import Tensor

from otcondense.datasets import Listing
from otcondense.devices import DeviceSetting
from otcondense.in_flight import Arrays
from otcondense.representations.tables import ClassTable
from otcondense.store import Store
from pipeline.class_plan import ClassPlan
from pipeline.images import BatchTransform, Transform
from pipeline.quarantine import Lost


class Network(Protocol):
    """A network in a worker."""

    def __call__(
        self, pixels: UInt8[Tensor, "b c h w"], class_index: Int64[Tensor, " b"], /
    ) -> dict[str, Tensor]:
        """Return the results for a batch of the full size, on the device and without waiting."""
        ...

    @property
    def device(self) -> torch.device:
        """Where batches are computed."""

    @property
    def batch_transform(self) -> BatchTransform | None:
        """What decodes the images of a batch on the network's device; None if threads do it."""


@dataclass(frozen=True)
class ClassRows:
    """The results for the images of one class, or of a part of it."""

    plan: ClassPlan
    table: pa.Table
    """A row for each usable image, sorted by `image_id`: id, class, hash, size and results."""
    lost: Sequence[Lost]
    """Images that cannot be used."""

    def class_table(self, arrays: Arrays) -> ClassTable:
        """Return the table of the class with these arrays, a row for each usable image."""
        return ClassTable(
            class_name=self.plan.name,
            class_index=self.plan.index,
            image_ids=self.table.column("image_id").to_pylist(),
            sha256=self.table.column("sha256").to_pylist(),
            arrays=arrays,
        )


class Work(Protocol):
    """A kind of extraction; workers get a copy."""

    @property
    def batch_size(self) -> int:
        """Images that the network gets at once."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the pixels of one image."""

    @property
    def device(self) -> DeviceSetting:
        """Of the network, as configured."""

    @property
    def needs_every_image(self) -> bool:
        """Whether an image that cannot be used ends the extraction."""

    @property
    def key(self) -> str:
        """Fingerprint of all settings and weights."""

    def transform(self) -> Transform:
        """Return what turns the bytes of an image into pixels."""

    def load(self, *, assigned: bool | None = None) -> Network:
        """Load the network.

        Args:
            assigned: whether the cluster gave the worker a GPU; None without a cluster.

        Raises: InputError if its weights are not those of the plan, or its GPU cannot be used.
        """

    def write_class(self, store: Store, directory: str, rows: ClassRows) -> None:
        """Write the file of one class, or of a part of it.

        Raises: InputError if results are not finite.
        """


@dataclass(frozen=True)
class Target:
    """What an extraction reads and where it writes."""

    store: Store
    directory: str
    """Of the files of classes, below the root of the run."""
    listing: Listing
    work: Work


@dataclass(frozen=True, eq=False)
class Extraction:
    """All that a worker needs to know, the same for all workers."""

    root: str
    """Root of the run."""
    directory: str
    """Directory of the results, below the root."""
    work: Work
    listing: Listing
    starts: Int64[np.ndarray, " shards"]
    """First place of each shard in the storage order of the listing."""
    plans: tuple[ClassPlan, ...]
    """The files to write, in the order of the listing."""
    plan_of: Int32[np.ndarray, " images"]
    """Place in `plans` of each image of the listing; -1 if its results are not needed."""
    threads: int = 1
    """Threads of a worker that read and decode images."""
    assigned: bool | None = None
    """Whether the cluster gives each worker a GPU; None without a cluster."""

    @property
    def store(self) -> Store:
        """The run."""
        return Store(self.root)

    def is_wanted(self, rows: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        """Tell for each of some rows of the listing whether its results are needed."""
        is_wanted: np.ndarray = self.plan_of[rows] >= 0
        return is_wanted
