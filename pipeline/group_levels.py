"""A coarse level of the grouping: a sample, centres, and the cell of every row.

Each part is written once more, sorted by cell, so that a cell gathers its rows by reading only its
row groups. All that is written depends on the root alone, and carries its fingerprint.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float32

from otcondense.grouping.coarse import assign, coarse_centres, sample_share
from otcondense.grouping.draws import is_drawn
from otcondense.store import (
    array_column,
    array_field,
    fingerprint,
    read_array,
    read_table,
    stored_metadata,
    write_table,
)
from pipeline.group_plan import Cell, GroupPlan, Root
from pipeline.group_rows import (
    CELL,
    ROW_GROUP_ROWS,
    features_in,
    level_file,
    read_cells,
    read_rows,
    with_cells,
)


@dataclass(frozen=True)
class Opened:
    """A cell that a level divides."""

    cell: Cell
    first: int
    """Number of its first new cell."""
    count: int
    """New cells at most."""


@dataclass(frozen=True)
class LevelPart:
    """The rows of a part in the cells that a level divides."""

    root: int
    """Number of the root."""
    part: int
    """Place of the part in the root."""
    level: int
    """Of the cells, from 0."""
    opened: tuple[Opened, ...]
    """The cells of the root that are divided, by their first new number."""

    @property
    def labels(self) -> list[int]:
        """Numbers of the cells at their level."""
        return [label for each in self.opened for label in each.cell.labels]


def draw_sample(plan: GroupPlan, at: LevelPart) -> None:
    """Write the rows of a part that the centres of its cells are fitted to, in a task."""
    root = plan.roots[at.root]
    name = level_file(plan, "sample", at.level, root, at.part)
    made_from = _fingerprint(root, name)
    if _metadata(plan, name, made_from) is not None:
        return
    table = read_rows(plan, at.root, at.part, at.level, at.labels)
    columns = ["image_id", "features"] + ([CELL] if at.level else [])
    drawn = []
    for opened in at.opened:
        of_cell = _in_cell(table, opened.cell).select(columns)
        share = sample_share(opened.cell.size, opened.count)
        salt = f"{plan.config.seed}/{at.level}"
        is_in = is_drawn(of_cell.column("image_id").to_pylist(), share, salt)
        rows = of_cell.filter(pa.array(is_in))
        drawn.append(with_cells(rows, np.full(len(rows), opened.first)))
    _write(plan, name, pa.concat_tables(drawn), made_from)


def fit_cell(plan: GroupPlan, opened: Opened) -> None:
    """Write the centres that divide a cell; all parts of its root have their samples."""
    cell = opened.cell
    root = plan.roots[cell.root]
    name = centres_file(plan, opened)
    made_from = _fingerprint(root, name)
    if _metadata(plan, name, made_from) is not None:
        return
    tables = []
    for part in range(len(root.parts)):
        file = level_file(plan, "sample", cell.level, root, part)
        tables.append(read_cells(plan.store, file, [opened.first]))
    sample = pa.concat_tables(tables).combine_chunks().sort_by("image_id")
    centres = np.zeros((1, 1), dtype=np.float32)
    if len(sample) and not cell.of_equal:
        centres = coarse_centres(features_in(sample), opened.count, cell.level, plan.config)
    fields = [array_field("centre", centres)]
    table = pa.Table.from_arrays([array_column(centres)], schema=pa.schema(fields))
    write_table(plan.store, name, table, fingerprint=made_from)


def assign_part(plan: GroupPlan, at: LevelPart) -> dict[int, int]:
    """Write the rows of a part with their new cells; returns the rows of each new cell."""
    root = plan.roots[at.root]
    name = level_file(plan, "rows", at.level + 1, root, at.part)
    made_from = _fingerprint(root, name)
    known = _metadata(plan, name, made_from)
    if known is not None:
        return {int(number): int(rows) for number, rows in known["rows"].items()}
    table = read_rows(plan, at.root, at.part, at.level, at.labels)
    pieces = []
    for opened in at.opened:
        rows = _in_cell(table, opened.cell)
        if len(rows):
            centres = read_centres(plan, opened)
            ids = rows.column("image_id").to_pylist()
            cells = assign(features_in(rows), ids, centres, opened.count, at.level)
            pieces.append(with_cells(rows, cells + opened.first))
    written = pa.concat_tables(pieces) if pieces else with_cells(table, np.zeros(0, np.int64))
    numbers, counts = np.unique(written.column(CELL).to_numpy(), return_counts=True)
    found = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    _write(plan, name, written, made_from, rows={str(key): found[key] for key in found})
    return found


def centres_file(plan: GroupPlan, opened: Opened) -> str:
    """Return the name of the centres that divide a cell."""
    cell = opened.cell
    return f"{plan.levels}/centres-{cell.level}-{cell.root:06d}-{opened.first:06d}.parquet"


def read_centres(plan: GroupPlan, opened: Opened) -> Float32[np.ndarray, "k d"]:
    """Return the centres that divide a cell; a single one if the ids do."""
    table = read_table(plan.store, centres_file(plan, opened))
    return np.asarray(read_array(table, "centre"), dtype=np.float32)


def parts_of_level(plan: GroupPlan, opened: Sequence[Opened]) -> list[LevelPart]:
    """Return the parts of all roots that have cells to divide, all of one level."""
    by_root: dict[int, list[Opened]] = {}
    for each in opened:
        by_root.setdefault(each.cell.root, []).append(each)
    found = []
    for root, of_root in by_root.items():
        for part in range(len(plan.roots[root].parts)):
            found.append(LevelPart(root, part, of_root[0].cell.level, tuple(of_root)))
    return found


def _in_cell(table: pa.Table, cell: Cell) -> pa.Table:
    """Return the rows of a cell; at level 0 all rows are in it."""
    if cell.level == 0:
        return table
    return table.filter(pa.array(np.isin(table.column(CELL).to_numpy(), cell.labels)))


def _fingerprint(root: Root, name: str) -> str:
    return fingerprint([root.fingerprint, name])


def _metadata(plan: GroupPlan, name: str, made_from: str) -> dict[str, Any] | None:
    """Return the metadata of a file between levels, None if it is missing or of other inputs."""
    found = stored_metadata(plan.store, name)
    return found if found is not None and found["fingerprint"] == made_from else None


def _write(plan: GroupPlan, name: str, table: pa.Table, made_from: str, **facts: object) -> None:
    facts["row_group_rows"] = ROW_GROUP_ROWS
    write_table(plan.store, name, table, fingerprint=made_from, **facts)
