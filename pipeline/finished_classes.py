"""The feature files that an earlier start has finished."""

from collections.abc import Iterator
from dataclasses import dataclass

from otcondense.datasets.readings import readings
from otcondense.errors import InputError
from otcondense.store import read_unchanged, table_metadata
from pipeline.checked import Checked, CheckedFile
from pipeline.class_plan import ClassPlan
from pipeline.images import Transform, decode
from pipeline.quarantine import Lost, read_class_quarantine
from pipeline.work import Target


@dataclass(frozen=True)
class FinishedClasses:
    """Looks for feature files that an earlier start has finished."""

    target: Target
    checked: Checked
    transform: Transform
    """Of the images."""

    def lost(self, plan: ClassPlan) -> list[Lost] | None:
        """Return the lost images of a finished file.

        Lost images are tried again: one that was repaired can have the size and the time it had.

        Returns: None if the file must be made: it is missing, damaged or has another fingerprint,
            images are missing in it, or a lost one is readable now.
        """
        found = self._file(plan)
        if found is None or found.fingerprint != plan.fingerprint:
            return None
        if found.rows == plan.size:
            return []
        where = plan.lost_file(self.target.directory)
        lost = read_class_quarantine(self.target.store, where, plan.fingerprint)
        if found.rows + len(lost) != plan.size or any(self._are_readable(lost)):
            return None
        return lost

    def _file(self, plan: ClassPlan) -> CheckedFile | None:
        """Return the facts of the file of a plan, None if it is missing or damaged."""
        name = plan.file(self.target.directory)
        known = self.checked.known(name)
        if known is not None:
            return known
        try:
            table = read_unchanged(self.target.store, name)
        except InputError:
            return None
        return self.checked.add(name, str(table_metadata(table)["fingerprint"]), len(table))

    def _are_readable(self, lost: list[Lost]) -> Iterator[bool]:
        listing = self.target.listing
        found = listing.find(each.image_id for each in lost)
        for record in listing.take(found.values()):
            (read,) = readings([record.path])
            yield decode(read, self.transform).reason is None
