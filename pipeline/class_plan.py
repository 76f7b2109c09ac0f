"""The classes of a source, and which of them an earlier start has finished."""

from collections.abc import Iterator
from dataclasses import dataclass

from otcondense.datasets import Listing
from otcondense.datasets.listing import identity_of
from otcondense.datasets.readings import readings
from otcondense.errors import InputError
from otcondense.store import class_file, read_unchanged, table_metadata
from pipeline.checked import Checked, CheckedFile
from pipeline.fingerprints import class_fingerprint, class_inputs
from pipeline.images import Transform, decode
from pipeline.quarantine import Lost, read_class_quarantine
from pipeline.work import ClassPlan, Target


def plan_classes(listing: Listing, key: str) -> list[ClassPlan]:
    """Return the plan of every class that has images, in the order of their indices.

    Args:
        listing: of the source.
        key: fingerprint of all settings of the stage and of the weights.
    """
    return [_plan(listing, name, key) for name in listing.names]


def _plan(listing: Listing, name: str, key: str) -> ClassPlan:
    rows = listing.rows_of(name)
    index = listing.index_of(name)
    images = identity_of(listing.table.slice(rows.start, len(rows)))
    inputs = class_inputs(name, index, key)
    return ClassPlan(name, index, len(rows), class_fingerprint(images, inputs), inputs)


@dataclass(frozen=True)
class FinishedClasses:
    """Looks for classes that an earlier start has finished."""

    target: Target
    checked: Checked
    transform: Transform
    """Of the images."""

    def lost(self, plan: ClassPlan) -> list[Lost] | None:
        """Return the lost images of a finished class.

        Lost images are tried again: one that was repaired can have the size and the time it had.

        Returns: None if the class must be encoded: its file is missing, damaged or has another
            fingerprint, images are missing in it, or a lost one is readable now.
        """
        found = self._file(plan)
        if found is None or found.fingerprint != plan.fingerprint:
            return None
        if found.rows == plan.size:
            return []
        store, directory = self.target.store, self.target.directory
        lost = read_class_quarantine(store, directory, plan.name, plan.fingerprint)
        if found.rows + len(lost) != plan.size or any(self._are_readable(plan, lost)):
            return None
        return lost

    def _file(self, plan: ClassPlan) -> CheckedFile | None:
        """Return the facts of the file of a class, None if it is missing or damaged."""
        name = class_file(self.target.directory, plan.name)
        known = self.checked.known(name)
        if known is not None:
            return known
        try:
            table = read_unchanged(self.target.store, name)
        except InputError:
            return None
        return self.checked.add(name, str(table_metadata(table)["fingerprint"]), len(table))

    def _are_readable(self, plan: ClassPlan, lost: list[Lost]) -> Iterator[bool]:
        images = self.target.listing.of_class(plan.name)
        paths = {record.image_id: record.path for record in images}
        for each in lost:
            (read,) = readings([paths[each.image_id]])
            yield decode(read, self.transform).reason is None
