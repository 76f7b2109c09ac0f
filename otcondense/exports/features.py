"""The features of a run as files that others read, and that `source.kind=features` reads."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from otcondense.datasets.feature_arrays import FEATURES_FILE, IDS_FILE, LABELS_FILE
from otcondense.errors import InputError
from otcondense.exports.export import CLASSES_FILE, classes_text
from otcondense.exports.hub_metadata import described
from otcondense.exports.outputs import new_output
from otcondense.exports.parquet_tables import parquet_writer
from otcondense.npy import write_header
from otcondense.store import ClassFeatures, FeatureView, Store, class_files, read_columns
from otcondense.store.local_files import write_whole

GROUP_BYTES = 2**26
"""Bytes of features in a row group at most: a reader of some rows takes whole groups."""
LOGITS_FILE = "logits.npy"


@dataclass(frozen=True)
class FeatureExport:
    """Features of all images of a run."""

    store: Store
    view: FeatureView
    """The features, as the selection sees them."""
    classes: list[str]
    """Names of the classes that have features, in the order of their indices."""
    class_names: list[str]
    """Names of all classes of the source by index."""
    with_logits: bool

    def read(self) -> Iterator[ClassFeatures]:
        """Yield the features of one class at a time, or of one part of a class in several files.

        Raises: InputError if a file is damaged or missing, has no logits although they are wanted,
            or its features are of another length.
        """
        length: int | None = None
        for name in self.classes:
            for number, file in enumerate(class_files(self.store, self.view.first, name)):
                features = self.view.read_part(self.store, name, number)
                found = features.features.shape[1]
                length = length or found
                where = self.store.path(file)
                if found != length:
                    raise InputError(
                        f"{where} must have features of length {length}, found {found}"
                    )
                if self.with_logits and features.logits is None:
                    raise InputError(f"{where} has no logits; leave out --logits")
                yield features


def write_parquet(export: FeatureExport, target: Path) -> int:
    """Write one file with the columns image_id, label, features, sha256 and maybe logits.

    `features` and `logits` are lists of float32 of one length. Rows are sorted by class and id;
    those of a class in several files by class, file and id.
    """
    count = 0
    with ExitStack() as stack:
        writer = None
        for features in export.read():
            table = _table(export, features)
            if writer is None:
                writer = stack.enter_context(parquet_writer(target, table.schema))
            rows = max(1, GROUP_BYTES // features.features[0].nbytes)
            writer.write_table(table, row_group_size=rows)
            count += features.size
    return count


def _table(export: FeatureExport, features: ClassFeatures) -> pa.Table:
    columns = {
        "image_id": pa.array(features.image_ids, pa.string()),
        "label": pa.array(np.full(features.size, features.class_index, np.int64)),
        "features": _lists(features.features),
        "sha256": pa.array(features.sha256, pa.string()),
    }
    if export.with_logits:
        assert features.logits is not None
        columns["logits"] = _lists(features.logits)
    table = pa.table(columns)
    return table.cast(described(table.schema, export.class_names))


def _lists(array: np.ndarray) -> pa.Array:
    """Return an array [n, d] as lists of float32."""
    flat = pa.array(np.ascontiguousarray(array, np.float32).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(flat, array.shape[1])


def write_npy(export: FeatureExport, target: Path) -> int:
    """Write features.npy, labels.npy, ids.npy, maybe logits.npy, and classes.txt.

    Labels are class indices; `classes.txt` has the class names by index, one a line.
    """
    target.mkdir()
    count, longest = _ids(export)
    with ExitStack() as stack:
        files: dict[str, BinaryIO] = {}
        for features in export.read():
            for name, array in _arrays(export, features, longest).items():
                if name not in files:
                    files[name] = stack.enter_context((target / name).open("wb"))
                    write_header(files[name], array.dtype, (count, *array.shape[1:]))
                files[name].write(array.tobytes())
    (target / CLASSES_FILE).write_text(classes_text(export.class_names), encoding="utf-8")
    return count


def _ids(export: FeatureExport) -> tuple[int, int]:
    """Return the number of images and the length of the longest id in characters."""
    count = 0
    longest = 1
    for name in export.classes:
        for file in class_files(export.store, export.view.first, name):
            ids = read_columns(export.store, file, ["image_id"]).column(0)
            count += len(ids)
            longest = max(longest, pc.max(pc.utf8_length(ids)).as_py() or 0)
    return count, longest


def _arrays(export: FeatureExport, features: ClassFeatures, longest: int) -> dict[str, np.ndarray]:
    """Return the rows of one class by the name of their file."""
    arrays: dict[str, np.ndarray] = {
        FEATURES_FILE: features.features.astype(np.float32, copy=False),
        LABELS_FILE: np.full(features.size, features.class_index, np.int64),
        IDS_FILE: np.array(features.image_ids, f"U{longest}"),
    }
    if export.with_logits:
        assert features.logits is not None
        arrays[LOGITS_FILE] = features.logits.astype(np.float32, copy=False)
    return arrays


FEATURE_EXPORTS: dict[str, Callable[[FeatureExport, Path], int]] = {
    "parquet": write_parquet,
    "npy": write_npy,
}
"""Writer of every format of features by its name; it gets a path that does not exist yet, and
returns the number of images."""


def export_features(export: FeatureExport, form: str, output: str) -> int:
    """Write the features of a run, whole or not at all, and return the number of images.

    One class, or one part of a large class, is in memory at a time.

    Raises: InputError if the output exists, or features are missing, damaged or without the wanted
        logits.
    """
    with write_whole(new_output(output)) as temporary:
        return FEATURE_EXPORTS[form](export, temporary)
