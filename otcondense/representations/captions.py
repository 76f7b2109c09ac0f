"""Captions of images and the files of their embeddings: one for each class, one for no caption."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from jaxtyping import Float16, UInt8

from otcondense.errors import InputError
from otcondense.representations.representation_config import REPRESENTATIONS_SCHEMA_VERSION
from otcondense.representations.text_config import TextConfig
from otcondense.store import (
    Store,
    array_column,
    array_field,
    fingerprint,
    read_array,
    read_table,
    write_table,
)

EMPTY = ""
"""The caption of no caption: what guidance leads away from."""
EMBEDDING = "embedding"
MASK = "mask"


def class_captions_fingerprint(
    config: TextConfig, sha256: str, class_name: str, rows: Sequence[tuple[str, str, str]]
) -> str:
    """Return the fingerprint of the embeddings of one class.

    Args:
        config: settings of the model.
        sha256: of its weights.
        class_name: the class.
        rows: id, SHA-256 and caption of each image, sorted.
    """
    contents = [list(row) for row in rows]
    key = [REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, class_name, contents]
    return fingerprint(key)


def no_caption_fingerprint(config: TextConfig, sha256: str) -> str:
    """Return the fingerprint of the embedding of no caption."""
    return fingerprint([REPRESENTATIONS_SCHEMA_VERSION, config.identity(), sha256, EMPTY])


@dataclass(frozen=True)
class TextRows:
    """Embeddings of texts."""

    embeddings: Float16[np.ndarray, "n t d"]
    """0 at padding."""
    mask: UInt8[np.ndarray, "n t"]
    """0 at padding, else 1."""

    def columns(self) -> dict[pa.Field, pa.Array]:
        """Return both as columns of a table."""
        arrays = {EMBEDDING: self.embeddings, MASK: self.mask}
        return {array_field(name, array): array_column(array) for name, array in arrays.items()}


def write_no_caption(
    store: Store, name: str, rows: TextRows, config: TextConfig, sha256: str
) -> None:
    """Write the embedding of no caption, a table of one row.

    Args:
        store: the run.
        name: of the file.
        rows: the embedding.
        config: settings of the model.
        sha256: of its weights.
    """
    columns = {pa.field("caption", pa.string()): pa.array([EMPTY]), **rows.columns()}
    table = pa.Table.from_arrays(list(columns.values()), schema=pa.schema(list(columns)))
    write_table(
        store,
        name,
        table,
        fingerprint=no_caption_fingerprint(config, sha256),
        schema_version=REPRESENTATIONS_SCHEMA_VERSION,
        weights_sha256=sha256,
    )


def read_no_caption(store: Store, name: str) -> Float16[np.ndarray, "t d"]:
    """Return the embedding of no caption.

    Raises: InputError if the file is missing, damaged, or of class names.
    """
    if not store.exists(name):
        raise InputError(
            f"embeddings of captions are missing: there is no {store.path(name)}; "
            "set text.of=captions and run `otcondense extract_text` first"
        )
    embedding: np.ndarray = read_array(read_table(store, name), EMBEDDING)[0]
    return embedding
