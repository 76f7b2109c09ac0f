"""From the files of shards to the files of classes: regrouping features, not images."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.errors import InputError
from otcondense.store import class_file
from pipeline.quarantine import Lost, write_class_quarantine
from pipeline.shard_files import read_classes
from pipeline.work import ClassPlan, ClassRows, Extraction

GROUP_BYTES = 2**28
"""Results of the classes that one task regroups: every task opens the files of many shards."""


@dataclass(frozen=True)
class ClassGroup:
    """Classes that are regrouped together, with consecutive places in the listing."""

    plans: tuple[ClassPlan, ...]

    def row(self) -> dict[str, Any]:
        """Return the group as a row of a data set."""
        return {"group": json.dumps([asdict(plan) for plan in self.plans])}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "ClassGroup":
        """Return the group in a row."""
        return cls(tuple(ClassPlan(**each) for each in json.loads(row["group"])))


def group_classes(plans: Sequence[ClassPlan], image_bytes: int) -> Iterator[ClassGroup]:
    """Yield classes in groups of a bounded size, at least one in each.

    Args:
        plans: in the order of their indices.
        image_bytes: size of the results of one image.
    """
    group: list[ClassPlan] = []
    size = 0
    for plan in plans:
        more = plan.size * image_bytes
        if group and size + more > GROUP_BYTES:
            yield ClassGroup(tuple(group))
            group = []
            size = 0
        group.append(plan)
        size += more
    if group:
        yield ClassGroup(tuple(group))


def write_classes(extraction: Extraction, group: ClassGroup) -> None:
    """Write the files of some classes from the files of the shards that hold their images.

    Raises: InputError if a class has no usable image, or the file of a shard is damaged.
    """
    rows, lost = _gathered(extraction, group)
    for plan in group.plans:
        of_class = rows.filter(pc.equal(rows.column("class_index"), plan.index))
        unusable = [each for each in lost if each.class_name == plan.name]
        _write_class(extraction, plan, of_class, unusable)


def _gathered(extraction: Extraction, group: ClassGroup) -> tuple[pa.Table, list[Lost]]:
    """Return the rows and the lost images of the classes of a group, from all shards."""
    first, last = group.plans[0].index, group.plans[-1].index
    tables = []
    lost: list[Lost] = []
    for number in _shards_with(extraction, group):
        table, unusable = read_classes(extraction.store, extraction.directory, number, first, last)
        tables.append(table.replace_schema_metadata(None))
        lost += unusable
    return pa.concat_tables(tables), lost


def _shards_with(extraction: Extraction, group: ClassGroup) -> list[int]:
    """Return the numbers of the shards that hold images of some classes."""
    listing = extraction.listing
    is_in_group = np.zeros(len(extraction.is_wanted), dtype=bool)
    is_in_group[[plan.index for plan in group.plans]] = True
    places = np.flatnonzero(is_in_group[listing.class_index[listing.storage_order]])
    numbers = np.searchsorted(extraction.starts, places, side="right") - 1
    found: list[int] = np.unique(numbers).tolist()
    return found


def _write_class(
    extraction: Extraction, plan: ClassPlan, rows: pa.Table, unusable: list[Lost]
) -> None:
    """Write the quarantine and then the file of one class.

    Raises: InputError if no image can be used.
    """
    lost = sorted(unusable, key=lambda each: each.image_id)
    if len(rows) == 0:
        raise InputError(
            f"no image of class {plan.name} can be used, "
            f"the first is {lost[0].image_id}: {lost[0].reason}; "
            "repair its images, or name the other classes in source.classes"
        )
    assert len(rows) + len(lost) == plan.size, f"class {plan.name} lacks rows"
    table = rows.sort_by("image_id")
    store, directory = extraction.store, extraction.directory
    write_class_quarantine(store, directory, plan.name, plan.fingerprint, lost)
    extraction.work.write_class(store, directory, ClassRows(plan, table, lost))
    assert store.exists(class_file(directory, plan.name))
