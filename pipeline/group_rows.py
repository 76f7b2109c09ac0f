"""The images of cells as tables: features, confidences and scores of each, and the cell.

The files between the levels hold the rows of a part, sorted by cell, in small row groups: the rows
of a cell are read without the others.
"""

from collections.abc import Collection, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float32

from otcondense.errors import InputError, MissingInputError
from otcondense.store import Store, class_files, read_array, read_table, with_confidences
from otcondense.store.features import features_table
from pipeline.group_plan import Cell, GroupInputs, GroupPlan, Root, SourcePart

CELL = "cell"
"""Column of the cell of an image."""
ROW_GROUP_ROWS = 512
"""Rows of a row group: what a part of 65,536 images has of each of 128 cells."""


def difficulty_column(place: int) -> str:
    """Return the column of the scores of the directory at a place of `difficulties`."""
    return f"difficulty-{place}"


def level_file(plan: GroupPlan, kind: str, level: int, root: Root, part: int) -> str:
    """Return the name of a file that lies between levels.

    Args:
        plan: the grouping.
        kind: `rows` or `sample`.
        level: the level.
        root: the root.
        part: place of the part in its root.
    """
    return f"{plan.levels}/{kind}-{level}-{root.number:06d}-{part:06d}.parquet"


def gather(plan: GroupPlan, cell: Cell) -> pa.Table:
    """Return all rows of a cell, sorted by id.

    Raises: InputError or MissingInputError if a file is missing or damaged, or features are not
        finite.
    """
    parts = range(len(plan.roots[cell.root].parts))
    tables = [read_rows(plan, cell.root, part, cell.level, cell.labels) for part in parts]
    return pa.concat_tables(tables).combine_chunks().sort_by("image_id")


def read_rows(
    plan: GroupPlan, root_number: int, part: int, level: int, labels: Collection[int]
) -> pa.Table:
    """Return the rows of a part that are in some cells, sorted by id if the level is 0.

    Args:
        plan: the grouping.
        root_number: number of the root.
        part: place of the part in its root.
        level: of the cells; at level 0, all rows are in one.
        labels: numbers of the cells at their level.

    Raises: as `gather`.
    """
    root = plan.roots[root_number]
    if level == 0:
        return source_rows(plan.inputs, root.parts[part])
    return read_cells(plan.store, level_file(plan, "rows", level, root, part), labels)


def source_rows(inputs: GroupInputs, part: SourcePart) -> pa.Table:
    """Return the rows of a feature file as the selection sees them, with confidences and scores.

    Raises: as `gather`.
    """
    store = inputs.store
    stored = inputs.view.read_part(store, part.class_name, part.number)
    features = with_confidences(store, stored, inputs.confidences)
    _check_finite(features.features, features.image_ids)
    table = features_table(features)
    for place, directory in enumerate(inputs.difficulties):
        found = _scores(store, directory, part, features.image_ids)
        table = table.append_column(difficulty_column(place), found.column("difficulty"))
    return table


def _check_finite(features: Float32[np.ndarray, "n d"], image_ids: Sequence[str]) -> None:
    bad = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(bad):
        more = f" and {len(bad) - 1:,} more" if len(bad) > 1 else ""
        raise InputError(
            "features to group must be finite, found NaN or infinite values for "
            f"{image_ids[bad[0]]}{more}; correct the features, or extract them again"
        )


def _scores(store: Store, directory: str, part: SourcePart, image_ids: list[str]) -> pa.Table:
    """Return the scores of some images, which are in the file of their class or of its part.

    Raises: MissingInputError if it is missing, or lacks one of them.
    """
    files = class_files(store, directory, part.class_name)
    name = files[part.number if len(files) > 1 else 0]
    table = read_table(store, name)
    ids = table.column("image_id")
    if ids.to_pylist() == image_ids:
        return table
    rows = pc.index_in(pa.array(image_ids, ids.type), ids.combine_chunks())
    if rows.null_count:
        raise MissingInputError(
            f"{store.path(name)} must hold all {len(image_ids)} images that have features, "
            f"found {len(image_ids) - rows.null_count} of them",
            name,
        )
    return table.take(rows)


def read_cells(store: Store, name: str, labels: Collection[int]) -> pa.Table:
    """Return the rows of some cells in a file between levels, without reading the others.

    Raises: InputError if it is damaged.
    """
    wanted = np.array(sorted(labels), dtype=np.int64)
    try:
        with store.open(name) as opened:
            file = pq.ParquetFile(opened)
            table = file.read_row_groups(_groups_with(file, wanted))
    except (pa.ArrowException, ValueError, FileNotFoundError) as error:
        raise InputError(
            f"{store.path(name)} is damaged ({error}); delete it and run the stage again"
        ) from error
    is_wanted = np.isin(table.column(CELL).to_numpy(), wanted)
    return table.filter(pa.array(is_wanted)).replace_schema_metadata(None)


def _groups_with(file: pq.ParquetFile, wanted: np.ndarray) -> list[int]:
    """Return the row groups that can hold rows of some cells."""
    column = file.schema_arrow.get_field_index(CELL)
    found = []
    for number in range(file.num_row_groups):
        group = file.metadata.row_group(number)
        if group.num_rows == 0:
            continue
        facts = group.column(column).statistics
        first = np.searchsorted(wanted, facts.min)
        if first < len(wanted) and wanted[first] <= facts.max:
            found.append(number)
    return found


def features_in(table: pa.Table) -> Float32[np.ndarray, "n d"]:
    """Return the features of the rows of a table."""
    return np.asarray(read_array(table, "features"), dtype=np.float32)


def with_cells(table: pa.Table, cells: np.ndarray) -> pa.Table:
    """Return a table with the cell of each row, sorted by cell and id."""
    names = [name for name in table.column_names if name != CELL]
    marked = table.select(names).append_column(CELL, pa.array(cells, pa.int64()))
    return marked.sort_by([(CELL, "ascending"), ("image_id", "ascending")])
