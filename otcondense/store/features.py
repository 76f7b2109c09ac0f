"""The feature store: one Parquet file per class, rows sorted by `image_id`."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32, Int32

from otcondense.store.files import Store
from otcondense.store.logits import stored_logits
from otcondense.store.tables import (
    array_column,
    array_field,
    read_array,
    read_table,
    table_metadata,
    write_table,
)

FEATURES_SCHEMA_VERSION = 1
TRANSFORM_KEY = "transform"
"""Entry of the metadata that says how images became inputs of the network."""
INPUTS_KEY = "inputs"
"""Key in the metadata of the fingerprint of all inputs besides the images."""
OPTIONAL_COLUMNS = ("cross_entropy", "entropy", "max_prob")


@dataclass(frozen=True)
class ClassFeatures:
    """The images of one class, sorted by `image_id`, and the output of the encoder for each."""

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

    def __post_init__(self) -> None:
        assert self.image_ids == sorted(set(self.image_ids)), "image_ids must be unique and sorted"
        assert len(self.image_ids) == len(self.features) == len(self.sha256)

    @property
    def size(self) -> int:
        """Number of images."""
        return len(self.image_ids)


def class_file(directory: str, class_name: str) -> str:
    """Return the name of the feature file of one class."""
    return f"{directory}/class_name={class_name}/part-0.parquet"


def write_class_features(
    store: Store,
    directory: str,
    features: ClassFeatures,
    *,
    fingerprint: str,
    inputs: str | None = None,
    transform: str | None = None,
) -> None:
    """Write the feature file of one class, whole or not at all.

    Args:
        store: the run.
        directory: of the features.
        features: of the class.
        fingerprint: of all inputs.
        inputs: fingerprint of the inputs besides the images, whose content is in the table; None
            for features that were computed elsewhere.
        transform: name and version of the way from image files to the network's input
            (`EncoderConfig.transform`); None for features that were computed elsewhere.
    """
    facts = {} if inputs is None else {INPUTS_KEY: inputs}
    if transform is not None:
        facts[TRANSFORM_KEY] = transform
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
    write_table(
        store,
        class_file(directory, features.class_name),
        pa.Table.from_arrays(columns, schema=pa.schema(fields)),
        fingerprint=fingerprint,
        class_name=features.class_name,
        class_index=features.class_index,
        schema_version=FEATURES_SCHEMA_VERSION,
        **facts,
    )


def read_class_features(store: Store, directory: str, class_name: str) -> ClassFeatures:
    """Return the features of one class.

    Raises: InputError if the file is damaged, MissingInputError if it is missing.
    """
    table = read_table(store, class_file(directory, class_name))
    metadata = table_metadata(table)
    optional = {name: _floats(table, name) for name in OPTIONAL_COLUMNS}
    logits = None
    if "logits" in table.column_names:
        logits = read_array(table, "logits").astype(np.float32)
    return ClassFeatures(
        class_name=str(metadata["class_name"]),
        class_index=int(metadata["class_index"]),
        image_ids=table.column("image_id").to_pylist(),
        features=read_array(table, "features"),
        logits=logits,
        width=table.column("width").to_numpy(),
        height=table.column("height").to_numpy(),
        sha256=table.column("sha256").to_pylist(),
        **optional,
    )


def _floats(table: pa.Table, name: str) -> Float32[np.ndarray, " n"] | None:
    return table.column(name).to_numpy() if name in table.column_names else None
