"""What the grouping of a run reads and writes: classes, their parts, and cells of their images."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from otcondense.datasets import order_classes
from otcondense.errors import DamagedInputError, InputError, MissingInputError
from otcondense.grouping.config import GroupConfig
from otcondense.store import (
    ALL_CLASSES,
    FeatureView,
    Store,
    class_files,
    fingerprint,
    stored_metadata,
)

CELL_ROWS = 2**17
"""Images that one worker groups at a time: a minute or two of one core."""
CELL_BYTES = 2**28
"""Size of their features; a worker needs about four times as much memory."""


@dataclass(frozen=True)
class SourcePart:
    """A feature file of a class, or one for each encoder."""

    class_name: str
    number: int
    """Of the part in its class."""
    rows: int


@dataclass(frozen=True)
class Root:
    """A class, or all of them: what is grouped by itself."""

    number: int
    """Place among the roots."""
    name: str
    parts: tuple[SourcePart, ...]
    fingerprint: str
    """Of the features, confidences and scores of its images, and of the settings."""

    @property
    def size(self) -> int:
        """Images."""
        return sum(part.rows for part in self.parts)


@dataclass(frozen=True)
class Cell:
    """Images of a root that stay together until a level divides them."""

    root: int
    """Number of the root."""
    level: int
    """0 for a whole root, whose images are in the feature files; else the level that made it."""
    labels: tuple[int, ...]
    """Numbers of the cell in the files of its level; none at level 0."""
    size: int
    of_equal: bool = False
    """Whether its rows are equal, but for fewer than a group: only their ids can divide it."""

    @property
    def name(self) -> str:
        """Name in the names of files, unique."""
        ending = f"-{self.level}-{self.labels[0]:06d}" if self.labels else ""
        return f"{self.root:06d}{ending}"


@dataclass(frozen=True)
class GroupInputs:
    """Where images and their features, confidences and scores are."""

    store_root: str
    view: FeatureView
    confidences: str | None
    """Directory of the confidences; None if the selection uses none."""
    difficulties: tuple[str, ...]
    """Directories of the scores that methods of the run use."""

    @property
    def store(self) -> Store:
        """The run."""
        return Store(self.store_root)

    @property
    def directories(self) -> list[str]:
        """All directories that hold something of a class, each once."""
        found = dict.fromkeys(self.view.directories)
        if self.confidences is not None:
            found[self.confidences] = None
        return list(found | dict.fromkeys(self.difficulties))


@dataclass(frozen=True)
class GroupPlan:
    """The grouping of a run, as every worker knows it."""

    inputs: GroupInputs
    directory: str
    """Of the groups, in the run."""
    config: GroupConfig
    roots: tuple[Root, ...]
    cell_rows: int
    """Images that one worker groups at a time."""

    @property
    def store(self) -> Store:
        """The run."""
        return self.inputs.store

    @property
    def images(self) -> int:
        """All images."""
        return sum(root.size for root in self.roots)

    @property
    def levels(self) -> str:
        """Folder of what lies between the levels; deleted at the end."""
        return f"{self.directory}/_levels"

    @property
    def fingerprint(self) -> str:
        """Fingerprint of the table of all groups."""
        return fingerprint([[root.name, root.fingerprint] for root in self.roots])


def plan_groups(
    inputs: GroupInputs,
    directory: str,
    class_names: Sequence[str],
    config: GroupConfig,
    key: str,
    cell_rows: int | None = None,
) -> GroupPlan:
    """Return the grouping of some classes.

    Args:
        inputs: of the groups.
        directory: of the groups.
        class_names: all classes that have features, in any order.
        config: of the groups.
        key: fingerprint of all settings of the stage.
        cell_rows: images that one worker groups at a time; None follows the memory.

    Raises: RunFileError if features, confidences or scores are missing, damaged or of another
        encoder; InputError if the features of several classes cannot be compared.
    """
    names = order_classes(class_names)
    _check_comparable(inputs.view, names, config)
    if cell_rows is None:
        cell_rows = _rows_that_fit(inputs, names[0])
    alone = [(name, [name]) for name in names]
    together = [(ALL_CLASSES, names)]
    roots: list[Root] = []
    settings = [key, cell_rows]
    for name, members in alone if config.labels == "keep" else together:
        roots.append(_root(inputs, len(roots), name, members, settings))
    for of_encoder in inputs.view.directories:
        files: list[str] = []
        for name in names:
            files += class_files(inputs.store, of_encoder, name)
        _check_one_encoder(inputs.store, files)
    return GroupPlan(inputs, directory, config, tuple(roots), cell_rows)


def _check_comparable(view: FeatureView, names: Sequence[str], config: GroupConfig) -> None:
    """Check that the distances between images of several classes have one scale.

    Raises: InputError.
    """
    if config.labels == "ignore" and len(view.parts) > 1 and len(names) > 1:
        raise InputError(
            f"groups.labels=ignore with {len(view.parts)} encoders needs a source without labels, "
            f"found {len(names)} classes: the features of several encoders are scaled class by "
            "class; set groups.labels=keep, or select by one encoder"
        )


def _rows_that_fit(inputs: GroupInputs, class_name: str) -> int:
    """Return the images that one worker can group at a time, by the size of stored features."""
    size = 0
    rows = 0
    for directory in inputs.view.directories:
        name = class_files(inputs.store, directory, class_name)[0]
        rows = _rows_of(inputs.store, name)
        size += -(-inputs.store.size(name) // max(1, rows))
    return max(1, min(CELL_ROWS, CELL_BYTES // max(1, size)))


def _rows_of(store: Store, name: str) -> int:
    """Return the rows of a stored table.

    Raises: RunFileError if it is missing or damaged.
    """
    _content(store, name)
    with store.open(name) as file:
        return int(pq.read_metadata(file).num_rows)


def _root(
    inputs: GroupInputs, number: int, name: str, members: Sequence[str], settings: list[object]
) -> Root:
    store = inputs.store
    parts = []
    contents = []
    for member in members:
        for place, file in enumerate(class_files(store, inputs.view.first, member)):
            parts.append(SourcePart(member, place, _rows_of(store, file)))
        for directory in inputs.directories:
            files = class_files(store, directory, member)
            contents += [_content(store, file) for file in files]
    return Root(number, name, tuple(parts), fingerprint([name, *settings, contents]))


def _check_one_encoder(store: Store, names: Sequence[str]) -> None:
    """Check that features are of one width and type.

    Raises: DamagedInputError naming the first file that has others than the file before.
    """
    before = None
    for name in names:
        with store.open(name) as file:
            found = pq.read_schema(file).field("features")
        if before is not None and not found.equals(before, check_metadata=True):
            raise DamagedInputError(
                f"{store.path(name)} must hold features of the same width and type as the other "
                f"files of its folder, found {_shape(found)} and {_shape(before)}: it is of "
                "another encoder",
                name,
            )
        before = found


def _shape(field: pa.Field) -> str:
    facts = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
    return f"{facts.get('shape')} of {facts.get('dtype')}"


def _content(store: Store, name: str) -> str:
    """Return the digest of the content of a stored table.

    Raises: RunFileError if it is missing or damaged.
    """
    if not store.exists(name):
        raise MissingInputError(f"{store.path(name)} is missing", name)
    metadata = stored_metadata(store, name)
    if metadata is None:
        raise DamagedInputError(f"{store.path(name)} is damaged", name)
    return str(metadata["content"])
