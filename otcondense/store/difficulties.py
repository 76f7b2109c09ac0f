"""Difficulty scores: one score for each image, one file for each class."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32

from otcondense.errors import MissingInputError
from otcondense.store.features import class_file
from otcondense.store.files import Store
from otcondense.store.tables import read_table, write_table

DIFFICULTIES_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ClassDifficulties:
    """The images of one class, sorted by `image_id`, and the score of each."""

    class_name: str
    class_index: int
    image_ids: list[str]
    difficulty: Float32[np.ndarray, " n"]
    facts: dict[str, Any]
    """Origin of the scores: the kind, which end of it is hard, its timesteps, its weights."""


def write_class_difficulties(
    store: Store, directory: str, scores: ClassDifficulties, *, fingerprint: str
) -> None:
    """Write the scores of one class, whole or not at all.

    The file has the same name in `directory` as the features of the class in theirs.
    """
    columns = [pa.array(scores.image_ids, pa.string()), pa.array(scores.difficulty, pa.float32())]
    write_table(
        store,
        class_file(directory, scores.class_name),
        pa.Table.from_arrays(columns, names=["image_id", "difficulty"]),
        fingerprint=fingerprint,
        class_name=scores.class_name,
        class_index=scores.class_index,
        schema_version=DIFFICULTIES_SCHEMA_VERSION,
        **scores.facts,
    )


def read_class_difficulties(
    store: Store, directory: str, class_name: str, image_ids: list[str]
) -> Float[np.ndarray, " n"]:
    """Return the score of each of `image_ids`, which must be all images of the class.

    Raises: MissingInputError if there are no scores, or the scores are of other images.
    """
    name = class_file(directory, class_name)
    if not store.exists(name):
        raise MissingInputError(f"there are no scores {store.path(name)}", name)
    table = read_table(store, name)
    if table.column("image_id").to_pylist() != image_ids:
        raise MissingInputError(
            f"{store.path(name)} must hold the {len(image_ids)} images that have features, "
            f"found {len(table)} others",
            name,
        )
    scores: Float[np.ndarray, " n"] = table.column("difficulty").to_numpy()
    return scores
