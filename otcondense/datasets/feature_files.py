"""Features that were computed elsewhere, of images or of anything else: Parquet files, or features.npy beside labels.npy."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float32

from otcondense.datasets.files import SourceFile, container_files, list_tree
from otcondense.datasets.labels import LabelledRow, build_listing
from otcondense.datasets.locations import feature_row, without_image
from otcondense.datasets.parquet_files import (
    check_column,
    huggingface_names,
    open_parquet,
    row_id,
    row_ids,
)
from otcondense.datasets.records import ImageRecord, Listing, SourceConfig, is_remote
from otcondense.errors import InputError

FEATURES_FILE, LABELS_FILE, IDS_FILE = "features.npy", "labels.npy", "ids.npy"


def scan_features(source: SourceConfig) -> Listing:
    """Return the rows of `source.path`: Parquet files, or a folder of features.npy [n, d], labels.npy [n] and maybe ids.npy [n].

    Raises: InputError for a damaged file, missing columns, counts that differ, and whatever is wrong with labels and ids.
    """
    arrays = _npy_files(source)
    if arrays:
        return build_listing(source, list(_npy_rows(source, arrays)), None, [])
    files, ignored = container_files(source, ".parquet")
    rows: list[LabelledRow] = []
    names: tuple[str, ...] | None = None
    for file in files:
        with open_parquet(file) as (table_file, schema):
            check_column(source, file.path, schema, "features_column")
            check_column(source, file.path, schema, "label_column")
            names = names or huggingface_names(schema.metadata, source.label_column)
            labels = table_file.read(columns=[source.label_column]).column(0).to_pylist()
            ids = row_ids(source, file, table_file, len(labels))
            size = file.size_bytes // max(1, len(labels))
            places = (without_image(file.path, row) for row in range(len(labels)))
            rows += [
                LabelledRow(*each, size, file.mtime_ns)
                for each in zip(ids, labels, places, strict=True)
            ]
    return build_listing(source, rows, names, ignored)


def read_features(source: SourceConfig, records: list[ImageRecord]) -> Float32[np.ndarray, "n d"]:
    """Return the features of these rows in their order.

    Raises: InputError if they are not numbers in rows of one length.
    """
    places = [feature_row(record.path) for record in records]
    by_file: dict[str, list[int]] = {}
    for position, (path, _) in enumerate(places):
        by_file.setdefault(path, []).append(position)
    result: np.ndarray | None = None
    for path, positions in by_file.items():
        rows = np.array([places[position][1] for position in positions])
        found = (
            _npy_part(path, rows) if path.endswith(".npy") else _parquet_part(source, path, rows)
        )
        result = (
            np.empty((len(records), found.shape[1]), dtype=np.float32) if result is None else result
        )
        if found.shape[1] != result.shape[1]:
            raise InputError(
                f"features of {source.path} must all have one length, found {result.shape[1]} and, in {path}, {found.shape[1]}"
            )
        result[positions] = found
    assert result is not None, "a class has rows"
    return result


def _npy_files(source: SourceConfig) -> dict[str, SourceFile]:
    if source.path.endswith(".parquet"):
        return {}
    _, files = list_tree(source)
    found = {
        file.name: file for file in files if file.name in (FEATURES_FILE, LABELS_FILE, IDS_FILE)
    }
    if found and not {FEATURES_FILE, LABELS_FILE} <= set(found):
        raise InputError(
            f"{source.path} must hold {FEATURES_FILE} and {LABELS_FILE}, found {', '.join(sorted(found))} alone"
        )
    return found


def _npy_rows(source: SourceConfig, files: dict[str, SourceFile]) -> Iterator[LabelledRow]:
    file = files[FEATURES_FILE]
    with _loaded(file.path) as features, _loaded(files[LABELS_FILE].path) as labels:
        if features.ndim != 2 or labels.shape != features.shape[:1] or features.dtype.kind != "f":
            raise InputError(
                f"{source.path} must hold features [n, d] of floating-point numbers and labels [n], found {features.dtype} "
                f"{list(features.shape)} and {list(labels.shape)}"
            )
        size, ids = (
            features.dtype.itemsize * features.shape[1],
            [row_id(file, row) for row in range(len(features))],
        )
        if IDS_FILE in files:
            with _loaded(files[IDS_FILE].path) as stored:
                ids = [str(each) for each in stored.tolist()]
        if len(ids) != len(labels):
            raise InputError(
                f"{source.path} must hold one id for each label, found {len(ids)} for {len(labels)}"
            )
        changed = max(each.mtime_ns for each in files.values())
        for row, (image_id, label) in enumerate(zip(ids, labels.tolist(), strict=True)):
            yield LabelledRow(image_id, label, without_image(file.path, row), size, changed)


@contextmanager
def _loaded(path: str) -> Iterator[np.ndarray]:
    """Give a .npy file as an array: mapped if it is local, else read whole. Pickled objects are refused."""
    try:
        if is_remote(path):
            with fsspec.open(path, "rb") as file:
                yield np.load(file, allow_pickle=False)
        else:
            yield np.load(Path(path), mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path} is not a readable array of plain numbers or text ({error}); write it again with numpy.save"
        ) from error


def _npy_part(path: str, rows: np.ndarray) -> np.ndarray:
    with _loaded(path) as features:
        return np.asarray(features[rows], dtype=np.float32)


def _parquet_part(source: SourceConfig, path: str, rows: np.ndarray) -> np.ndarray:
    """Read the wanted rows, which are in any order, from the row groups that hold them."""
    parts: dict[int, np.ndarray] = {}
    with open_parquet(SourceFile(path, path, 0, 0)) as (table_file, _):
        sizes = [
            table_file.metadata.row_group(group).num_rows
            for group in range(table_file.num_row_groups)
        ]
        starts = np.cumsum([0, *sizes])
        groups = np.searchsorted(starts, rows, side="right") - 1
        for group in np.unique(groups):
            matrix = _matrix(
                path,
                table_file.read_row_group(int(group), columns=[source.features_column]).column(0),
            )
            for position in np.flatnonzero(groups == group):
                parts[int(position)] = matrix[rows[position] - starts[group]].copy()
    widths = {len(part) for part in parts.values()}
    if len(widths) > 1:
        raise InputError(f"features of {path} must all have one length, found {sorted(widths)}")
    return np.stack([parts[position] for position in range(len(rows))])


def _matrix(path: str, column: Any) -> np.ndarray:
    values = pa.concat_arrays(column.chunks)
    values = values.storage if isinstance(values, pa.ExtensionArray) else values
    kind = values.type
    is_list = (
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
    if not is_list or not pa.types.is_floating(kind.value_type):
        raise InputError(
            f"features in {path} must be lists of floating-point numbers, found {kind}; set source.features_column"
        )
    flat = values.flatten()
    lengths = pc.unique(pc.list_value_length(values)).to_pylist()
    if len(lengths) != 1 or lengths == [None] or flat.null_count:
        raise InputError(
            f"features in {path} must be lists of one length without gaps, found the lengths {lengths[:5]}"
        )
    return np.asarray(flat.to_numpy(zero_copy_only=False), dtype=np.float32).reshape(
        len(values), -1
    )
