"""The groups of a cell that one worker holds: first their sizes, then their files.

A group is named by its place among all groups, so that all cells are split before files are
written.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from otcondense.grouping.split import split_rows
from otcondense.store import (
    ClassDifficulties,
    class_file,
    fingerprint,
    read_table,
    stored_metadata,
    write_class_difficulties,
    write_class_features,
    write_table,
)
from otcondense.store.features import features_of_table
from otcondense.store.tables import read_fingerprint
from pipeline.group_plan import Cell, GroupPlan, Root
from pipeline.group_rows import difficulty_column, features_in, gather

OWN_FACTS = frozenset(
    {"fingerprint", "content", "description", "class_name", "class_index", "schema_version"}
)
"""Metadata of scores that are those of one file; the others are those of the kind."""


@dataclass(frozen=True)
class SplitCell:
    """The groups of a cell by their sizes."""

    sizes: tuple[int, ...]
    """Images of each group."""
    cut: int
    """Images of more equal ones than fit into a group."""


@dataclass(frozen=True)
class NamedCell:
    """A cell and the names of its groups."""

    cell: Cell
    names: tuple[str, ...]
    first: int
    """Place of its first group among all."""


def split_cell(plan: GroupPlan, cell: Cell) -> SplitCell:
    """Split a cell into groups, and write the group of each image.

    Raises: InputError or MissingInputError if features are missing, damaged or not finite.
    """
    if cell.size <= plan.config.most:
        return SplitCell((cell.size,), 0)
    name = _labels_file(plan, cell)
    made_from = fingerprint([plan.roots[cell.root].fingerprint, name])
    known = stored_metadata(plan.store, name)
    if known is not None and known["fingerprint"] == made_from:
        return SplitCell(tuple(known["sizes"]), int(known["cut"]))

    rows = gather(plan, cell)
    found = split_rows(features_in(rows), plan.config)
    sizes = found.sizes.tolist()
    columns = [rows.column("image_id"), pa.array(found.labels, pa.int64())]
    table = pa.Table.from_arrays(columns, names=["image_id", "group"])
    facts = {"sizes": sizes, "cut": found.cut}
    write_table(plan.store, name, table, fingerprint=made_from, **facts)
    return SplitCell(tuple(sizes), found.cut)


def group_fingerprint(root: Root, name: str, index: int) -> str:
    """Return the fingerprint of the files of a group.

    Args:
        root: what the group is a part of.
        name: of the group.
        index: place of the group among all.
    """
    return fingerprint([root.fingerprint, name, index])


def group_files(plan: GroupPlan, name: str) -> list[str]:
    """Return the names of the files of a group: its features, then its scores of each kind."""
    places = [f"{plan.directory}/{each}" for each in plan.inputs.difficulties]
    return [class_file(directory, name) for directory in (plan.directory, *places)]


def write_cell(plan: GroupPlan, named: NamedCell) -> tuple[int, ...]:
    """Write the files of the groups of a cell that are not there yet.

    Returns: images of each group whose bytes differ.

    Raises: as `split_cell`.
    """
    cell = named.cell
    root = plan.roots[cell.root]
    distinct: dict[int, int] = {}
    for place, name in enumerate(named.names):
        expected = group_fingerprint(root, name, named.first + place)
        files = group_files(plan, name)
        if all(read_fingerprint(plan.store, file) == expected for file in files):
            distinct[place] = _distinct(read_table(plan.store, files[0]))
    open_groups = [place for place in range(len(named.names)) if place not in distinct]
    if open_groups:
        rows = gather(plan, cell)
        labels = _labels(plan, cell, rows)
        for place in open_groups:
            members = rows.take(np.flatnonzero(labels == place))
            _write_group(plan, root, members, named.names[place], named.first + place)
            distinct[place] = _distinct(members)
    return tuple(distinct[place] for place in range(len(named.names)))


def _distinct(rows: pa.Table) -> int:
    """Return the number of images whose bytes differ."""
    return int(pc.count_distinct(rows.column("sha256")).as_py())


def _labels(plan: GroupPlan, cell: Cell, rows: pa.Table) -> Int[np.ndarray, " n"]:
    """Return the group of each row of a cell."""
    if cell.size <= plan.config.most:
        return np.zeros(len(rows), dtype=np.int64)
    table = read_table(plan.store, _labels_file(plan, cell))
    assert table.column("image_id").equals(rows.column("image_id")), "the cell has other images"
    return np.asarray(table.column("group").to_numpy())


def _labels_file(plan: GroupPlan, cell: Cell) -> str:
    return f"{plan.levels}/groups-{cell.name}.parquet"


def _write_group(plan: GroupPlan, root: Root, rows: pa.Table, name: str, index: int) -> None:
    """Write the scores of a group, then its features."""
    store = plan.store
    made_from = group_fingerprint(root, name, index)
    features = features_of_table(rows, name, index)
    for place, directory in enumerate(plan.inputs.difficulties):
        scores = ClassDifficulties(
            class_name=name,
            class_index=index,
            image_ids=features.image_ids,
            difficulty=rows.column(difficulty_column(place)).to_numpy(),
            facts=_facts(plan, root, directory),
        )
        target = f"{plan.directory}/{directory}"
        write_class_difficulties(store, target, scores, fingerprint=made_from)
    write_class_features(store, plan.directory, features, fingerprint=made_from)


def _facts(plan: GroupPlan, root: Root, directory: str) -> dict[str, object]:
    """Return what the scores of a root say of their kind."""
    name = class_file(directory, root.parts[0].class_name)
    known = stored_metadata(plan.store, name) or {}
    return {key: known[key] for key in sorted(known.keys() - OWN_FACTS)}


def in_batches(cells: Sequence[NamedCell], rows: int) -> list[list[NamedCell]]:
    """Return cells in batches of about so many rows, at least one in each."""
    batches: list[list[NamedCell]] = []
    size = rows
    for each in cells:
        if size >= rows:
            batches.append([])
            size = 0
        batches[-1].append(each)
        size += each.cell.size
    return batches


def write_cells(plan: GroupPlan, batch: Sequence[NamedCell]) -> list[tuple[int, ...]]:
    """Write the files of the groups of some cells, in one task; returns as `write_cell`."""
    return [write_cell(plan, each) for each in batch]
