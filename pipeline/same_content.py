"""Files whose images have other times and the same content: `touch`, or a copy of the source.

Their features stay. Reading the images once is far cheaper than encoding them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64

from otcondense.datasets import ImageRecord
from otcondense.datasets.ahead import in_threads
from otcondense.datasets.readings import Reading, readings
from otcondense.errors import InputError
from otcondense.store import (
    read_columns,
    read_part,
    read_unchanged,
    sha256_bytes,
    stored_metadata,
    table_metadata,
    write_class_features,
)
from otcondense.store.features import INPUTS_KEY, TRANSFORM_KEY
from pipeline.class_parts import ids_of_rows
from pipeline.class_plan import ClassPlan, planned_rows
from pipeline.images import Transform, decode
from pipeline.quarantine import Lost, read_class_quarantine, write_class_quarantine
from pipeline.shards import plan_shards
from pipeline.work import Target

READERS = 8
"""Threads that read images; a disk or a store answers several requests at once."""
Rows = Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class SameContent:
    """Looks for feature files whose images have the content that was encoded."""

    target: Target
    transform: Transform
    """Of the images."""

    def find(self, plans: Sequence[ClassPlan]) -> dict[ClassPlan, list[Lost]]:
        """Return the lost images of each file that is recognised, by its plan.

        The images of all files are read together, in storage order.
        """
        expected: dict[int, _Expected] = {}
        plan_of = planned_rows(self.target.listing, plans)
        for place, plan in enumerate(plans):
            found = self._stored(plan, np.flatnonzero(plan_of == place))
            if found is not None:
                expected[place] = found
        if expected:
            self._refute(expected, plan_of)
        return {plans[place]: found.lost for place, found in expected.items() if found.is_same}

    def keep(self, plan: ClassPlan, lost: list[Lost]) -> None:
        """Give a recognised file and its lost images the fingerprint of its plan."""
        store, directory = self.target.store, self.target.directory
        features = read_part(store, directory, plan.name, plan.part.number)
        metadata = stored_metadata(store, plan.file(directory)) or {}
        write_class_quarantine(store, plan.lost_file(directory), plan.fingerprint, lost)
        write_class_features(
            store,
            directory,
            features,
            fingerprint=plan.fingerprint,
            inputs=plan.inputs,
            transform=metadata.get(TRANSFORM_KEY),
        )

    def _stored(self, plan: ClassPlan, rows: Rows) -> "_Expected | None":
        """Return what an earlier extraction found if only the images can have changed since."""
        store, directory = self.target.store, self.target.directory
        name = plan.file(directory)
        try:
            metadata = table_metadata(read_unchanged(store, name))
            if metadata.get(INPUTS_KEY) != plan.inputs:
                return None
            table = read_columns(store, name, ("image_id", "sha256"))
        except InputError:
            return None
        where = plan.lost_file(directory)
        lost = read_class_quarantine(store, where, str(metadata["fingerprint"]))
        hashes = dict(zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True))
        reasons = {each.image_id: each.reason for each in lost}
        if sorted([*hashes, *reasons]) != ids_of_rows(self.target.listing, rows).to_pylist():
            return None
        return _Expected(hashes, reasons, lost)

    def _refute(
        self, expected: Mapping[int, "_Expected"], plan_of: Int32[np.ndarray, " images"]
    ) -> None:
        """Mark the files that have an image of another content.

        Args:
            expected: what an earlier extraction found, by the place of the plan.
            plan_of: place of the plan of each row of the listing.
        """
        listing = self.target.listing
        for shard in plan_shards(listing, self.target.work.batch_size):
            # The first other image of a file ends the reading of its later shards.
            still_open = [place for place, found in expected.items() if found.is_same]
            rows = shard.rows(listing)
            rows = rows[np.isin(plan_of[rows], still_open)]
            of_files = [expected[place] for place in plan_of[rows].tolist()]
            self._refute_some(listing.take(rows), of_files)

    def _refute_some(self, records: list[ImageRecord], expected: list["_Expected"]) -> None:
        reads = readings(record.path for record in records)
        triples = zip(records, reads, expected, strict=True)
        answers = in_threads(self._is_same, triples, threads=READERS, ahead=READERS)
        for each, is_same in zip(expected, answers, strict=True):
            each.is_same &= is_same

    def _is_same(self, image: tuple[ImageRecord, Reading, "_Expected"]) -> bool:
        record, read, expected = image
        if record.image_id in expected.reasons:
            return decode(read, self.transform).reason == expected.reasons[record.image_id]
        try:
            return sha256_bytes(read()) == expected.hashes[record.image_id]
        except OSError:
            return False


@dataclass
class _Expected:
    """The result of an earlier extraction, in one file."""

    hashes: dict[str, str]
    """SHA-256 of each image that has features, by id."""
    reasons: dict[str, str]
    """Why each of the other images cannot be used, by id."""
    lost: list[Lost]
    is_same: bool = True
    """Whether all images that were read so far have this content."""
