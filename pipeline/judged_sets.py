"""Features of listed images for the evaluation: encoded once, into one file for each class."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.datasets import Listing
from otcondense.errors import InputError
from otcondense.store import Store, class_file, read_array, read_fingerprint, read_table
from pipeline.checked import Checked
from pipeline.class_plan import ClassPlan, plan_classes
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.judged_work import FEATURES, JudgedWork
from pipeline.quarantine import Lost
from pipeline.represent import plan_class
from pipeline.run_shards import encode_classes
from pipeline.work import Target

OnImages = Callable[[int], None]
"""Gets the number of images that were encoded or found encoded since the last call."""


@dataclass(frozen=True)
class ListedSet:
    """Images of a source and the directory of their features."""

    store: Store
    directory: str
    listing: Listing
    work: JudgedWork

    @property
    def plans(self) -> list[ClassPlan]:
        """The plan of each class; chosen images are known by the hashes of their files."""
        listing = self.listing
        if self.work.needs_every_image:
            return [plan_class(listing, name, self.work) for name in listing.names]
        return plan_classes(listing, self.work.key)

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the features, in the order of the listing."""
        return tuple(class_file(self.directory, name) for name in self.listing.names)

    def encode(
        self, config: ExtractionConfig, on_images: OnImages, cluster: ClusterConfig = ANY_CLUSTER
    ) -> None:
        """Write the features of each class that an earlier start has not written.

        Args:
            config: resources; they do not change the result.
            on_images: called after every shard.
            cluster: what the cluster can have, and how long to wait for it.

        Raises: InputError naming an image that cannot be used or has changed.
        """
        plans = self.plans
        checked = Checked.load(self.store, self.directory)
        still_open = [plan for plan in plans if not self._is_finished(plan, checked)]
        on_images(len(self.listing) - sum(plan.size for plan in still_open))
        if still_open:
            target = Target(self.store, self.directory, self.listing, self.work)
            count = _Count(self.listing.root, on_images)
            encode_classes(target, still_open, config, count.add, cluster)
        for plan in still_open:
            checked.add(class_file(self.directory, plan.name), plan.fingerprint, plan.size)
        checked.save()

    def is_encoded(self) -> bool:
        """Tell whether the features of all images are there; a file is read whole once."""
        checked = Checked.load(self.store, self.directory)
        is_encoded = all(self._is_finished(plan, checked) for plan in self.plans)
        checked.save()
        return is_encoded

    def _is_finished(self, plan: ClassPlan, checked: Checked) -> bool:
        name = class_file(self.directory, plan.name)
        known = checked.known(name)
        if known is not None:
            return known.fingerprint == plan.fingerprint
        if read_fingerprint(self.store, name) != plan.fingerprint:
            return False
        checked.add(name, plan.fingerprint, plan.size)
        return True


@dataclass(frozen=True)
class _Count:
    """Counts the images of shards, none of which may be lost."""

    source: str
    on_images: OnImages

    def add(self, images: int, lost: Sequence[Lost]) -> None:
        """Count the images of a shard.

        Raises: InputError naming the first image that cannot be used.
        """
        if lost:
            raise InputError(
                f"image {lost[0].image_id} of {self.source} cannot be used ({lost[0].reason}), and "
                f"{len(lost) - 1} more; repair them or leave them out: metrics need every image"
            )
        self.on_images(images)


@dataclass(frozen=True)
class StoredFeatures:
    """Where the features of a set are, for a task that reads them itself."""

    files: tuple[str, ...]
    image_ids: tuple[str, ...] | None = None
    """The images in their order; None takes all rows of the files."""

    def read(self, store: Store) -> Float[Tensor, "n d"]:
        """Return the features in the order of the set.

        Raises: InputError if a file is missing or damaged; the next start encodes it again.
        """
        tables = [read_table(store, name) for name in self.files]
        features = np.concatenate([read_array(table, FEATURES) for table in tables])
        if self.image_ids is None:
            return torch.from_numpy(features)
        known = [name for table in tables for name in table.column("image_id").to_pylist()]
        places = {name: place for place, name in enumerate(known)}
        return torch.from_numpy(features[[places[name] for name in self.image_ids]])
