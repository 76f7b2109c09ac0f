"""The feature store: one Parquet file per class, or several of a large one.

The rows of a file are sorted by `image_id`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Float32, Int32

from otcondense.errors import DamagedInputError, InputError
from otcondense.store.files import Store
from otcondense.store.logits import stored_logits
from otcondense.store.tables import (
    array_column,
    array_field,
    read_array,
    read_table,
    stored_metadata,
    table_metadata,
    write_table,
)

FEATURES_SCHEMA_VERSION = 1
TRANSFORM_KEY = "transform"
"""Entry of the metadata that says how images became inputs of the network."""
INPUTS_KEY = "inputs"
"""Key in the metadata of the fingerprint of all inputs besides the images."""
OPTIONAL_COLUMNS = ("cross_entropy", "entropy", "max_prob")
PART_KEY = "part"
"""Key in the metadata of the number of a part; only in files of classes of several parts."""
PARTS_KEY = "parts"
"""Key in the metadata of the number of parts of the class; only in files of such classes."""


@dataclass(frozen=True)
class PartOf:
    """A part of a class, or all of it."""

    number: int = 0
    """From 0."""
    count: int = 1
    """Parts of the class; a class of at most `PART_ROWS` images has one."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the metadata of the file say; nothing if it holds the whole class."""
        if self.count == 1:
            return {}
        return {PART_KEY: self.number, PARTS_KEY: self.count}

    @classmethod
    def of_facts(cls, metadata: dict[str, Any]) -> "PartOf":
        """Return the part that the metadata of a file name."""
        return cls(int(metadata.get(PART_KEY, 0)), int(metadata.get(PARTS_KEY, 1)))


WHOLE = PartOf()
"""A class in one file."""


@dataclass(frozen=True)
class ClassFeatures:
    """Images of one class, sorted by `image_id`, and the output of the encoder for each."""

    class_name: str
    class_index: int
    image_ids: list[str]
    features: Float32[np.ndarray, "n d"]
    logits: Float[np.ndarray, "n c"] | None
    """Logits of the classifier; stored as float16 (see `stored_logits`)."""
    cross_entropy: Float32[np.ndarray, " n"] | None
    """Cross-entropy of the true class, in nats."""
    entropy: Float32[np.ndarray, " n"] | None
    """Entropy of the predicted distribution, in nats."""
    max_prob: Float32[np.ndarray, " n"] | None
    """Largest predicted probability."""
    width: Int32[np.ndarray, " n"]
    """Width of the source image in pixels."""
    height: Int32[np.ndarray, " n"]
    """Height of the source image in pixels."""
    sha256: list[str]
    """SHA-256 of each source file."""
    part: PartOf = WHOLE
    """The part of the class that the images are."""

    def __post_init__(self) -> None:
        assert self.image_ids == sorted(set(self.image_ids)), "image_ids must be unique and sorted"
        assert len(self.image_ids) == len(self.features) == len(self.sha256)

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.image_ids)


def class_file(directory: str, class_name: str, part: int = 0) -> str:
    """Return the name of the feature file of a class, or of a part of it."""
    return f"{directory}/class_name={class_name}/part-{part}.parquet"


def class_files(store: Store, directory: str, class_name: str) -> list[str]:
    """Return the names of the feature files of a class, whether or not they are there.

    Returns: one name for each part; that of the first one if it is missing or damaged.
    """
    first = class_file(directory, class_name)
    count = PartOf.of_facts(stored_metadata(store, first) or {}).count
    return [class_file(directory, class_name, number) for number in range(count)]


def write_class_features(
    store: Store,
    directory: str,
    features: ClassFeatures,
    *,
    fingerprint: str,
    inputs: str | None = None,
    transform: str | None = None,
) -> None:
    """Write the feature file of one class, or of a part of it, whole or not at all.

    Args:
        store: the run.
        directory: of the features.
        features: of the class, or of a part of it.
        fingerprint: of all inputs.
        inputs: fingerprint of the inputs besides the images, whose content is in the table; None
            for features that were computed elsewhere.
        transform: name and version of the way from image files to the network's input
            (`EncoderConfig.transform`); None for features that were computed elsewhere.
    """
    facts = {} if inputs is None else {INPUTS_KEY: inputs}
    if transform is not None:
        facts[TRANSFORM_KEY] = transform
    write_table(
        store,
        class_file(directory, features.class_name, features.part.number),
        features_table(features),
        fingerprint=fingerprint,
        class_name=features.class_name,
        class_index=features.class_index,
        schema_version=FEATURES_SCHEMA_VERSION,
        **features.part.facts,
        **facts,
    )


def features_table(features: ClassFeatures) -> pa.Table:
    """Return features as a table with a row for each image, without names of class and part."""
    fields = [pa.field("image_id", pa.string()), array_field("features", features.features)]
    columns = [pa.array(features.image_ids, pa.string()), array_column(features.features)]
    if features.logits is not None:
        logits = stored_logits(features.logits)
        fields.append(array_field("logits", logits))
        columns.append(array_column(logits))
    for name in OPTIONAL_COLUMNS:
        values = getattr(features, name)
        if values is not None:
            fields.append(pa.field(name, pa.float32()))
            columns.append(pa.array(values, pa.float32()))
    fields += [
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("sha256", pa.string()),
    ]
    columns += [
        pa.array(features.width, pa.int32()),
        pa.array(features.height, pa.int32()),
        pa.array(features.sha256, pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))


def features_of_table(
    table: pa.Table, class_name: str, class_index: int, part: PartOf = WHOLE
) -> ClassFeatures:
    """Return the features in a table of `features_table`, of the class and part named.

    Raises: KeyError or ValueError if it is no such table.
    """
    optional = {name: _floats(table, name) for name in OPTIONAL_COLUMNS}
    logits = None
    if "logits" in table.column_names:
        logits = read_array(table, "logits").astype(np.float32)
    return ClassFeatures(
        class_name=class_name,
        class_index=class_index,
        image_ids=table.column("image_id").to_pylist(),
        features=read_array(table, "features"),
        logits=logits,
        width=table.column("width").to_numpy(),
        height=table.column("height").to_numpy(),
        sha256=table.column("sha256").to_pylist(),
        part=part,
        **optional,
    )


def read_class_features(store: Store, directory: str, class_name: str) -> ClassFeatures:
    """Return the features of one class, of all its parts together.

    Raises: InputError if a file is damaged or the parts do not fit together, MissingInputError if
        a file is missing.
    """
    first = read_part(store, directory, class_name, 0)
    if first.part == WHOLE:
        return first
    count = first.part.count
    others = [read_part(store, directory, class_name, number) for number in range(1, count)]
    return _together(store.path(directory), [first, *others])


def read_part(store: Store, directory: str, class_name: str, number: int) -> ClassFeatures:
    """Return the features of a part of a class; part 0 of a small class is all of it.

    Raises: DamagedInputError if it is damaged or of another class, MissingInputError if it is
        missing.
    """
    name = class_file(directory, class_name, number)
    table = read_table(store, name)
    metadata = table_metadata(table)
    part = PartOf.of_facts(metadata)
    found = str(metadata["class_name"])
    if (part.number, found) != (number, class_name):
        raise DamagedInputError(
            f"{store.path(name)} must hold part {number} of class {class_name}, found part "
            f"{part.number} of class {found}",
            name,
        )
    return features_of_table(table, found, int(metadata["class_index"]), part)


def _together(where: str, parts: Sequence[ClassFeatures]) -> ClassFeatures:
    """Return the images of all parts of a class, sorted.

    Raises: InputError if the parts are of different extractions.
    """
    image_ids = [image_id for each in parts for image_id in each.image_ids]
    counts = {each.part.count for each in parts}
    if counts != {len(parts)} or len(set(image_ids)) < len(image_ids):
        raise InputError(
            f"the {len(parts)} files of class {parts[0].class_name} in {where} must be of one "
            "extraction, found parts of several; run the stage again to finish it"
        )
    order = pc.sort_indices(pa.array(image_ids, pa.large_string())).to_numpy()
    arrays = {}
    for field in fields(ClassFeatures):
        values = [getattr(each, field.name) for each in parts]
        if all(isinstance(each, np.ndarray) for each in values):
            arrays[field.name] = np.concatenate(values)[order]
    hashes = [sha256 for each in parts for sha256 in each.sha256]
    return replace(
        parts[0],
        image_ids=[image_ids[row] for row in order],
        sha256=[hashes[row] for row in order],
        part=WHOLE,
        **arrays,
    )


def _floats(table: pa.Table, name: str) -> Float32[np.ndarray, " n"] | None:
    return table.column(name).to_numpy() if name in table.column_names else None
