"""The manifest of a subset, from the selections of its classes or groups."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from jobs.run_directory.groups import Groups, ignores_labels, selection_groups
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.errors import InputError
from otcondense.selection.composed import COMPOSED, Composed, GroupValue, compose
from otcondense.store import (
    ClassSelection,
    TrueClasses,
    grouped_manifest,
    manifest_table,
    stored_metadata,
)


def subset_manifest(run: Run, selections: list[ClassSelection]) -> pa.Table:
    """Return the manifest of a subset: by class and choice; with groups, by class and group.

    Raises: InputError if labels are ignored and the source does not list a chosen image any more.
    """
    plain = manifest_table(selections)
    if run.config.groups is None:
        return plain
    groups = selection_groups(run)
    return grouped_manifest(plain, groups.sizes, groups.class_of, _true_classes(run, groups, plain))


def _true_classes(run: Run, groups: Groups, plain: pa.Table) -> TrueClasses:
    listing = run_listing(run)
    names = [groups.class_of[name] for name in plain.column("class_name").to_pylist()]
    if ignores_labels(run.config):
        ids = plain.column("image_id").to_pylist()
        rows = listing.find(ids)
        missing = [image_id for image_id in ids if image_id not in rows]
        if missing:
            raise InputError(
                f"the source {run.config.source.path} must list every chosen image, found no "
                f"{missing[0]}; run `otcondense extract_features` again"
            )
        index = listing.class_index[[rows[image_id] for image_id in ids]]
        return TrueClasses([listing.classes[each] for each in index], index)
    numbers = {name: number for number, name in enumerate(listing.classes)}
    return TrueClasses(names, np.array([numbers[name] for name in names], dtype=np.int64))


def composed_of(selections: Iterable[ClassSelection], sizes: Mapping[str, int]) -> Composed | None:
    """Return the selections of all groups as one; None for a method without an objective.

    Args:
        selections: of all groups.
        sizes: images of each group.
    """
    return compose(
        GroupValue(
            size=sizes[each.class_name],
            objective=each.summary.objective,
            lower_bound=each.summary.lower_bound,
            is_whole=bool(each.summary.diagnostics.get("take_all")),
        )
        for each in selections
    )


def manifest_metadata(run: Run, selections: list[ClassSelection]) -> dict[str, Any]:
    """Return what the manifest of a run with groups says of all of them together."""
    if run.config.groups is None:
        return {}
    found = composed_of(selections, selection_groups(run).sizes)
    return {} if found is None else {COMPOSED: found.to_json()}


def stored_composed(run: Run, subset: str) -> Composed | None:
    """Return the selections of all groups of a subset as one, from its manifest.

    Returns: None without groups or manifest, or if the method has no objective.
    """
    metadata = stored_metadata(run.store, run.manifest(subset)) or {}
    value = metadata.get(COMPOSED)
    return None if value is None else Composed.from_json(value)
