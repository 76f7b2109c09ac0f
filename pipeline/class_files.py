"""From the files of shards to the files of classes: regrouping features, not images."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.errors import InputError
from pipeline.class_parts import ids_of_rows
from pipeline.class_plan import ClassPlan
from pipeline.quarantine import Lost, write_class_quarantine
from pipeline.shard_files import read_classes
from pipeline.work import ClassRows, Extraction

GROUP_BYTES = 2**28
"""Results of the classes that one task regroups: every task opens the files of many shards."""


@dataclass(frozen=True)
class ClassGroup:
    """Classes or parts that are regrouped together, with consecutive places in the plan."""

    plans: tuple[ClassPlan, ...]

    def row(self) -> dict[str, Any]:
        """Return the group as a row of a data set."""
        return {"group": json.dumps([asdict(plan) for plan in self.plans])}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "ClassGroup":
        """Return the group in a row."""
        return cls(tuple(ClassPlan.of_values(each) for each in json.loads(row["group"])))


def group_classes(plans: Sequence[ClassPlan], image_bytes: int) -> Iterator[ClassGroup]:
    """Yield classes and parts in groups of a bounded size, at least one in each.

    Args:
        plans: in the order of the listing.
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

    Raises: InputError if a class or a part has no usable image, or the file of a shard is damaged.
    """
    first = extraction.plans.index(group.plans[0])
    rows, lost = _gathered(extraction, group, first)
    for place, plan in enumerate(group.plans, first):
        of_class = rows.filter(pc.equal(rows.column("class_index"), plan.index))
        unusable = [each for each in lost if each.class_name == plan.name]
        if plan.part.count > 1:
            ids = ids_of_rows(extraction.listing, np.flatnonzero(extraction.plan_of == place))
            of_class = of_class.filter(pc.is_in(of_class.column("image_id"), ids))
            names = set(ids.to_pylist())
            unusable = [each for each in unusable if each.image_id in names]
        _write_class(extraction, plan, of_class, unusable)


def _gathered(extraction: Extraction, group: ClassGroup, place: int) -> tuple[pa.Table, list[Lost]]:
    """Return the rows and the lost images of the classes of a group, from all its shards.

    There may be more rows of a class: those of its other parts.

    Args:
        extraction: the plan.
        group: the classes.
        place: of the first of them in the plan.
    """
    first, last = group.plans[0].index, group.plans[-1].index
    tables = []
    lost: list[Lost] = []
    for number in _shards_with(extraction, range(place, place + len(group.plans))):
        table, unusable = read_classes(extraction.store, extraction.directory, number, first, last)
        tables.append(table.replace_schema_metadata(None))
        lost += unusable
    return pa.concat_tables(tables), lost


def _shards_with(extraction: Extraction, plans: range) -> list[int]:
    """Return the numbers of the shards that hold images of some plans, given by their places."""
    plan_of = extraction.plan_of
    is_in_group = (plan_of >= plans.start) & (plan_of < plans.stop)
    places = np.flatnonzero(is_in_group[extraction.listing.storage_order])
    numbers = np.searchsorted(extraction.starts, places, side="right") - 1
    found: list[int] = np.unique(numbers).tolist()
    return found


def _write_class(
    extraction: Extraction, plan: ClassPlan, rows: pa.Table, unusable: list[Lost]
) -> None:
    """Write the quarantine and then the file of one class or part.

    Raises: InputError if no image can be used.
    """
    lost = sorted(unusable, key=lambda each: each.image_id)
    if len(rows) == 0:
        raise InputError(
            f"no image of {plan.text} can be used, "
            f"the first is {lost[0].image_id}: {lost[0].reason}; "
            "repair its images, or name the other classes in source.classes"
        )
    assert len(rows) + len(lost) == plan.size, f"{plan.text} lacks rows"
    table = rows.sort_by("image_id")
    store, directory = extraction.store, extraction.directory
    write_class_quarantine(store, plan.lost_file(directory), plan.fingerprint, lost)
    extraction.work.write_class(store, directory, ClassRows(plan, table, lost))
    assert store.exists(plan.file(directory))
