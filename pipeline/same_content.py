"""Classes whose images have other times and the same content: `touch`, or a copy of the source.

Their features stay. Reading the images once is far cheaper than encoding them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from otcondense.datasets import ImageRecord
from otcondense.datasets.ahead import in_threads
from otcondense.datasets.readings import Reading, readings
from otcondense.errors import InputError
from otcondense.store import (
    class_file,
    read_class_features,
    read_columns,
    read_unchanged,
    sha256_bytes,
    stored_metadata,
    table_metadata,
    write_class_features,
)
from otcondense.store.features import INPUTS_KEY, TRANSFORM_KEY
from pipeline.images import Transform, decode
from pipeline.quarantine import Lost, read_class_quarantine, write_class_quarantine
from pipeline.shards import plan_shards
from pipeline.work import ClassPlan, Target

READERS = 8
"""Threads that read images; a disk or a store answers several requests at once."""


@dataclass(frozen=True)
class SameContent:
    """Looks for classes whose images have the content that was encoded."""

    target: Target
    transform: Transform
    """Of the images."""

    def find(self, plans: Sequence[ClassPlan]) -> dict[str, list[Lost]]:
        """Return the lost images of each class that is recognised, by its name.

        The images of all classes are read together, in storage order.
        """
        expected: dict[str, _Expected] = {}
        for plan in plans:
            found = self._stored(plan)
            if found is not None:
                expected[plan.name] = found
        if expected:
            self._refute(expected)
        return {name: found.lost for name, found in expected.items() if found.is_same}

    def keep(self, plan: ClassPlan, lost: list[Lost]) -> None:
        """Give the files of a recognised class the fingerprint of its plan."""
        store, directory = self.target.store, self.target.directory
        features = read_class_features(store, directory, plan.name)
        metadata = stored_metadata(store, class_file(directory, plan.name)) or {}
        write_class_quarantine(store, directory, plan.name, plan.fingerprint, lost)
        write_class_features(
            store,
            directory,
            features,
            fingerprint=plan.fingerprint,
            inputs=plan.inputs,
            transform=metadata.get(TRANSFORM_KEY),
        )

    def _stored(self, plan: ClassPlan) -> "_Expected | None":
        """Return what an earlier extraction found if only the images can have changed since."""
        store, directory = self.target.store, self.target.directory
        name = class_file(directory, plan.name)
        try:
            metadata = table_metadata(read_unchanged(store, name))
            if metadata.get(INPUTS_KEY) != plan.inputs:
                return None
            table = read_columns(store, name, ("image_id", "sha256"))
        except InputError:
            return None
        lost = read_class_quarantine(store, directory, plan.name, str(metadata["fingerprint"]))
        hashes = dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))
        reasons = {each.image_id: each.reason for each in lost}
        if sorted([*hashes, *reasons]) != self.target.listing.ids_of(plan.name):
            return None
        return _Expected(hashes, reasons, lost)

    def _refute(self, expected: dict[str, "_Expected"]) -> None:
        """Mark the classes that have an image of another content."""
        listing = self.target.listing
        is_looked_at = np.zeros(len(listing.classes), dtype=bool)
        is_looked_at[[listing.index_of(name) for name in expected]] = True
        for shard in plan_shards(listing, self.target.work.batch_size):
            rows = shard.rows(listing)
            records = listing.take(rows[is_looked_at[listing.class_index[rows]]])
            self._refute_some(records, expected)

    def _refute_some(self, records: list[ImageRecord], expected: dict[str, "_Expected"]) -> None:
        # The first other image of a class ends the reading of its later shards.
        still_open = [each for each in records if expected[each.class_name].is_same]
        reads = readings(record.path for record in still_open)
        of_class = [expected[record.class_name] for record in still_open]
        triples = zip(still_open, reads, of_class, strict=True)
        answers = in_threads(self._is_same, triples, threads=READERS, ahead=READERS)
        for each, is_same in zip(of_class, answers, strict=True):
            each.is_same &= is_same

    def _is_same(self, image: tuple[ImageRecord, Reading, "_Expected"]) -> bool:
        record, read, of_class = image
        if record.image_id in of_class.reasons:
            return decode(read, self.transform).reason == of_class.reasons[record.image_id]
        try:
            return sha256_bytes(read()) == of_class.hashes[record.image_id]
        except OSError:
            return False


@dataclass
class _Expected:
    """The result of an earlier extraction of a class."""

    hashes: dict[str, str]
    """SHA-256 of each image that has features, by id."""
    reasons: dict[str, str]
    """Why each of the other images cannot be used, by id."""
    lost: list[Lost]
    is_same: bool = True
    """Whether all images that were read so far have this content."""
