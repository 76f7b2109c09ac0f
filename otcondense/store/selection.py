"""Selection results, one Parquet file per class, and the manifest of a whole subset."""

from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Int

from otcondense.errors import InputError, MissingInputError
from otcondense.history import represented_mass
from otcondense.store.files import Store
from otcondense.store.selection_summary import SelectionSummary
from otcondense.store.tables import read_table, stored_metadata, table_metadata, write_table

SELECTION_SCHEMA_VERSION = 2
MANIFEST_TYPES = {
    "image_id": pa.string(),
    "class_name": pa.string(),
    "class_index": pa.int32(),
    "choice": pa.int32(),
    "rank": pa.int32(),
    "weight": pa.float64(),
    "represented_mass": pa.float64(),
    "gain": pa.float64(),
    "cross_entropy": pa.float32(),
    "sha256": pa.string(),
}
MANIFEST_COLUMNS = tuple(MANIFEST_TYPES)
GROUP = "group"
"""Column of the manifest of a run with groups, after all others."""
MANIFEST_SCHEMA = pa.schema(list(MANIFEST_TYPES.items()))


@dataclass(frozen=True)
class ClassSelection:
    """The subset that one selector chose from one class, and its result for every image of it."""

    class_name: str
    class_index: int
    image_ids: list[str]
    """All images of the class, in the order of the feature file."""
    indices: Int[np.ndarray, " budget"]
    """Positions of the chosen images in `image_ids`, in order of choice."""
    received_mass: Float[np.ndarray, " n"]
    """Share of the class's mass each image receives from the subset; sums to 1."""
    assignment: Int[np.ndarray, " n"]
    """Position of the chosen image that represents each image, -1 for a left-out image."""
    cross_entropy: Float[np.ndarray, " n"] | None
    sha256: list[str]
    rank: Int[np.ndarray, " budget"]
    """Place of each chosen image by decreasing gain, from 0."""
    gain: Float[np.ndarray, " budget"]
    """Increase of the objective if each chosen image is left out of the subset; nan if unknown."""
    summary: SelectionSummary = field(default_factory=SelectionSummary)
    """Objective, terms, lower bound, history and diagnostics."""
    left_away: int = 0
    """Images of the class that `chosen_only` has left away."""

    @property
    def size(self) -> int:
        """Number of images of the class."""
        return len(self.image_ids) + self.left_away

    @property
    def represented_mass(self) -> Float[np.ndarray, " budget"]:
        """Share of the class that each chosen image represents; sums to 1 if none is left out."""
        return represented_mass(self.indices, self.assignment, self.received_mass)


def selection_file(directory: str, class_name: str) -> str:
    """Return the name of the selection file of one class."""
    return f"{directory}/class_name={class_name}/selection.parquet"


def write_class_selection(
    store: Store, directory: str, selection: ClassSelection, *, fingerprint: str
) -> None:
    """Write the selection file of one class, whole or not at all: one row for each image."""
    size = len(selection.image_ids)
    choice = np.full(size, -1, dtype=np.int32)
    choice[selection.indices] = np.arange(len(selection.indices), dtype=np.int32)
    rank = np.full(size, -1, dtype=np.int32)
    rank[selection.indices] = selection.rank
    gain = np.full(size, np.nan)
    gain[selection.indices] = selection.gain
    represented = np.full(size, np.nan)
    represented[selection.indices] = selection.represented_mass
    entropy = selection.cross_entropy
    if entropy is None:
        entropy = np.full(size, np.nan)

    table = pa.table(
        {
            "image_id": pa.array(selection.image_ids, pa.string()),
            "choice": pa.array(choice, mask=choice < 0),
            "rank": pa.array(rank, mask=rank < 0),
            "received_mass": pa.array(selection.received_mass, pa.float64()),
            "represented_mass": pa.array(represented, pa.float64(), from_pandas=True),
            "assignment": pa.array(selection.assignment, pa.int32()),
            "gain": pa.array(gain, pa.float64(), from_pandas=True),
            "cross_entropy": pa.array(entropy, pa.float32(), from_pandas=True),
            "sha256": pa.array(selection.sha256, pa.string()),
        }
    )
    metadata = {
        "class_name": selection.class_name,
        "class_index": selection.class_index,
        "schema_version": SELECTION_SCHEMA_VERSION,
        "summary": selection.summary.to_json(),
    }
    write_table(
        store,
        selection_file(directory, selection.class_name),
        table,
        fingerprint=fingerprint,
        **metadata,
    )


def read_class_selection(store: Store, directory: str, class_name: str) -> ClassSelection:
    """Return the selection of one class.

    Raises: InputError if the file is damaged, MissingInputError if it is missing.
    """
    table = read_table(store, selection_file(directory, class_name))
    metadata = table_metadata(table)
    choice = table.column("choice").fill_null(-1).to_numpy()
    chosen = np.flatnonzero(choice >= 0)
    indices = chosen[np.argsort(choice[chosen])]
    return ClassSelection(
        class_name=str(metadata["class_name"]),
        class_index=int(metadata["class_index"]),
        image_ids=table.column("image_id").to_pylist(),
        indices=indices,
        received_mass=table.column("received_mass").to_numpy(),
        assignment=table.column("assignment").to_numpy(),
        cross_entropy=table.column("cross_entropy").to_numpy(),
        sha256=table.column("sha256").to_pylist(),
        rank=table.column("rank").fill_null(-1).to_numpy()[indices],
        gain=table.column("gain").to_numpy()[indices],
        summary=SelectionSummary.from_json(metadata["summary"]),
    )


def stored_summary(store: Store, directory: str, class_name: str) -> SelectionSummary | None:
    """Return the summary of one class without reading its rows.

    Returns: None if the selection file is missing or damaged.
    """
    metadata = stored_metadata(store, selection_file(directory, class_name))
    if metadata is None:
        return None
    return SelectionSummary.from_json(metadata.get("summary", {}))


def manifest_table(selections: list[ClassSelection]) -> pa.Table:
    """Return the manifest of a subset: one row for each chosen image, by class and order of choice.

    `represented_mass` of a chosen image is the share of its class that it represents. `weight` is
    that share times the number of images chosen from the class, so weights average 1 within a
    class without left-out images.
    """
    ordered = sorted(selections, key=lambda each: each.class_index)
    parts = [_manifest_part(each) for each in ordered]
    return pa.concat_tables(parts).combine_chunks() if parts else MANIFEST_SCHEMA.empty_table()


def chosen_only(selection: ClassSelection) -> ClassSelection:
    """Return a selection without the images that are not chosen.

    It gives the same rows of a manifest, and takes a hundredth of the memory: the selections of
    10,000 groups are in memory at once.
    """
    own = np.arange(len(selection.indices))
    entropy = selection.cross_entropy
    return replace(
        selection,
        image_ids=[selection.image_ids[index] for index in selection.indices],
        indices=own,
        received_mass=selection.represented_mass,
        assignment=own,
        cross_entropy=None if entropy is None else entropy[selection.indices],
        sha256=[selection.sha256[index] for index in selection.indices],
        left_away=selection.size - len(own),
    )


def _manifest_part(selection: ClassSelection) -> pa.Table:
    """Return the rows of the chosen images of one class, in order of choice."""
    count = len(selection.indices)
    share = selection.represented_mass
    entropy = selection.cross_entropy
    columns = {
        "image_id": [selection.image_ids[index] for index in selection.indices],
        "class_name": [selection.class_name] * count,
        "class_index": np.full(count, selection.class_index),
        "choice": np.arange(count),
        "rank": selection.rank,
        "weight": share * count,
        "represented_mass": share,
        "gain": selection.gain,
        "cross_entropy": [None] * count if entropy is None else entropy[selection.indices],
        "sha256": [selection.sha256[index] for index in selection.indices],
    }
    arrays = [
        pa.array(columns[key], kind, from_pandas=True) for key, kind in MANIFEST_TYPES.items()
    ]
    return pa.Table.from_arrays(arrays, schema=MANIFEST_SCHEMA)


def read_manifest(store: Store, name: str) -> pa.Table:
    """Return the manifest stored under `name`.

    Raises: MissingInputError if there is none, InputError if it is damaged or has other columns.
    """
    if not store.exists(name):
        raise MissingInputError(f"there is no subset manifest {store.path(name)}", name)
    table = read_table(store, name)
    plain = tuple(each for each in table.column_names if each != GROUP)
    if plain != MANIFEST_COLUMNS:
        raise InputError(
            f"{store.path(name)} must have the columns {', '.join(MANIFEST_COLUMNS)}, "
            f"found {', '.join(table.column_names)}"
        )
    return table


def selected_names(manifest: pa.Table) -> list[str]:
    """Return the names of the selections of a manifest, in its order: of its groups or classes."""
    return list(dict.fromkeys(manifest.column(name_column(manifest)).to_pylist()))


def name_column(manifest: pa.Table) -> str:
    """Return the column that names the selection of each image: of its group or its class."""
    return GROUP if GROUP in manifest.column_names else "class_name"
