"""The table of groups: their classes and sizes.

The features of a group lie next to it, in a file as those of a class (`class_file`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from otcondense.errors import MissingInputError
from otcondense.store.files import Store
from otcondense.store.tables import read_table, table_metadata, write_table

GROUPS_SCHEMA_VERSION = 2
ALL_CLASSES = "all"
"""Name of the class of all images, if labels are ignored."""


@dataclass(frozen=True)
class GroupTable:
    """All groups of a run, in the order of their classes, a row for each."""

    names: Sequence[str]
    """Unique; the name of the class if the class is one group."""
    class_names: Sequence[str]
    """The class that each group is a part of; `ALL_CLASSES` if labels are ignored."""
    sizes: Sequence[int]
    """Images of each group, >= 1."""
    distinct: Sequence[int]
    """Images of each group whose bytes differ, >= 1: exact copies count once."""
    cut: int = 0
    """Images of more equal ones than fit into a group, which are cut in the order of their ids."""


def groups_file(directory: str) -> str:
    """Return the name of the table of groups; it is written last."""
    return f"{directory}/groups.parquet"


def write_groups(store: Store, directory: str, groups: GroupTable, *, fingerprint: str) -> None:
    """Write the table of groups, whole or not at all."""
    columns = [
        pa.array(groups.names, pa.string()),
        pa.array(groups.class_names, pa.string()),
        pa.array(groups.sizes, pa.int64()),
        pa.array(groups.distinct, pa.int64()),
    ]
    write_table(
        store,
        groups_file(directory),
        pa.Table.from_arrays(columns, names=["group_name", "class_name", "size", "distinct"]),
        fingerprint=fingerprint,
        schema_version=GROUPS_SCHEMA_VERSION,
        cut=groups.cut,
    )


def read_groups(store: Store, directory: str) -> GroupTable:
    """Return the table of groups.

    Raises: MissingInputError if the images are not grouped yet, InputError if it is damaged.
    """
    name = groups_file(directory)
    if not store.exists(name):
        raise MissingInputError(f"there are no groups {store.path(name)}", name)
    table = read_table(store, name)
    return GroupTable(
        names=table.column("group_name").to_pylist(),
        class_names=table.column("class_name").to_pylist(),
        sizes=table.column("size").to_pylist(),
        distinct=table.column("distinct").to_pylist(),
        cut=int(table_metadata(table)["cut"]),
    )
