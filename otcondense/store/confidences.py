"""Confidences of a classifier in each image, if they are not stored with the features."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Int64

from otcondense.errors import InputError, MissingInputError
from otcondense.store.features import (
    OPTIONAL_COLUMNS,
    WHOLE,
    ClassFeatures,
    class_file,
    class_files,
)
from otcondense.store.files import Store
from otcondense.store.logits import stored_logits
from otcondense.store.tables import array_column, array_field, read_array, read_table, write_table

CONFIDENCES_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ClassConfidences:
    """The images of one class, sorted by `image_id`, and the output of a classifier for each."""

    class_name: str
    class_index: int
    image_ids: list[str]
    logits: Float[np.ndarray, "n c"] | None
    """Stored as float16 (see `stored_logits`); None stores none."""
    cross_entropy: Float32[np.ndarray, " n"]
    """Cross-entropy of the true class, in nats."""
    entropy: Float32[np.ndarray, " n"]
    """Entropy of the predicted distribution, in nats."""
    max_prob: Float32[np.ndarray, " n"]
    """Largest predicted probability."""


def write_class_confidences(
    store: Store, directory: str, confidences: ClassConfidences, *, fingerprint: str
) -> None:
    """Write the confidences of one class, whole or not at all.

    The file has the same name in `directory` as the features of the class in theirs.
    """
    fields = [pa.field("image_id", pa.string())]
    columns = [pa.array(confidences.image_ids, pa.string())]
    if confidences.logits is not None:
        logits = stored_logits(confidences.logits)
        fields.append(array_field("logits", logits))
        columns.append(array_column(logits))
    for name in OPTIONAL_COLUMNS:
        fields.append(pa.field(name, pa.float32()))
        columns.append(pa.array(getattr(confidences, name), pa.float32()))
    write_table(
        store,
        class_file(directory, confidences.class_name),
        pa.Table.from_arrays(columns, schema=pa.schema(fields)),
        fingerprint=fingerprint,
        class_name=confidences.class_name,
        class_index=confidences.class_index,
        schema_version=CONFIDENCES_SCHEMA_VERSION,
    )


def with_confidences(store: Store, features: ClassFeatures, directory: str | None) -> ClassFeatures:
    """Return features with the logits and confidences in `directory`, with none if it is None.

    The directory is one of confidences or of another encoder's features.

    Raises: InputError if it does not hold the confidences of exactly these images,
        MissingInputError if the class is missing.
    """
    if directory is None:
        return replace(features, logits=None, cross_entropy=None, entropy=None, max_prob=None)
    files = class_files(store, directory, features.class_name)
    if features.part.count > 1 and len(files) == features.part.count:
        files = [files[features.part.number]]
    tables = [read_table(store, file) for file in files]
    if any("cross_entropy" not in table.column_names for table in tables):
        raise InputError(
            f"{store.path(files[0])} holds no confidences; "
            "set confidence.classifier to an encoder with a classifier"
        )
    rows = _rows_of(tables, features)
    if rows is None:
        raise MissingInputError(
            f"{store.path(files[0])} must hold the {features.size} images that have features, "
            f"found {sum(map(len, tables))} others",
            files[0],
        )
    optional = {}
    for column in OPTIONAL_COLUMNS:
        values = [table.column(column).to_numpy() for table in tables]
        optional[column] = np.concatenate(values)[rows]
    logits = None
    if all("logits" in table.column_names for table in tables):
        stored = np.concatenate([read_array(table, "logits") for table in tables])
        logits = stored[rows].astype(np.float32)
    return replace(features, logits=logits, **optional)


def _rows_of(tables: Sequence[pa.Table], features: ClassFeatures) -> Int64[np.ndarray, " n"] | None:
    """Return the row of each image in tables that follow each other.

    Returns: None if they do not hold exactly these images; more may be there for a part of a class.
    """
    image_ids = [image_id for table in tables for image_id in table.column("image_id").to_pylist()]
    if image_ids == features.image_ids:
        return np.arange(len(image_ids))
    is_of_class = len(image_ids) == features.size or features.part != WHOLE
    places = {image_id: row for row, image_id in enumerate(image_ids)}
    if not is_of_class or not places.keys() >= set(features.image_ids):
        return None
    return np.array([places[image_id] for image_id in features.image_ids], dtype=np.int64)
