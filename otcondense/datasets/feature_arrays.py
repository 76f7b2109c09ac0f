"""Features that were computed elsewhere, as features.npy with labels.npy, ids and captions."""

from dataclasses import replace

import numpy as np
import pyarrow as pa

from otcondense import npy
from otcondense.datasets.captions import caption_column
from otcondense.datasets.columns import encoded_labels, row_ids, text_ids
from otcondense.datasets.files import SourceFile, list_tree
from otcondense.datasets.listing import ListedFile
from otcondense.datasets.named_files import folder_name, named_files
from otcondense.datasets.npy_files import header_of, loaded
from otcondense.datasets.parts import TEXT, Labels, Part, spread
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError

FEATURES_FILE = "features.npy"
LABELS_FILE = "labels.npy"
IDS_FILE = "ids.npy"
NUMBER_KINDS = frozenset("biuf")
"""Kinds of dtypes that are numbers; other arrays hold texts or bytes."""
ARRAYS = (FEATURES_FILE, LABELS_FILE, IDS_FILE)
"""Files whose change makes the features new; captions have a fingerprint of their own."""
PART = 2**16
"""Texts that become Python values together."""


def npy_files(source: SourceConfig) -> dict[str, SourceFile]:
    """Return the files of arrays in a folder by their names; none if it holds none.

    Raises: InputError if some are missing.
    """
    if source.split is not None or named_files(source) is not None:
        return {}
    needed = {FEATURES_FILE}
    if source.label_column is not None:
        needed.add(LABELS_FILE)
    found = list_tree(source).top_files((*needed, IDS_FILE))
    if found and source.captions is not None:
        needed.add(f"{source.captions}.npy")
        found |= list_tree(source).top_files((f"{source.captions}.npy",))
    if found and not needed <= set(found):
        raise InputError(
            f"{source.path} must hold {' and '.join(sorted(needed))}, "
            f"found {', '.join(sorted(found))} alone"
        )
    return found


def npy_part(source: SourceConfig, files: dict[str, SourceFile]) -> Part:
    """Return the rows of the arrays.

    Raises: InputError for arrays of other types or lengths.
    """
    file = files[FEATURES_FILE]
    features = header_of(file.path)
    labels = _npy_column(files, LABELS_FILE)
    rows = features.shape[0] if features.shape else 0
    count = rows if labels is None else len(labels)
    _check_arrays(source, features, count)
    ids = _npy_ids(files, features.shape[0])
    if len(ids) != count:
        raise InputError(
            f"{source.path} must hold one id for each label, found {len(ids)} for {count}"
        )
    size = features.dtype.itemsize * features.shape[1]
    if labels is None:
        encoded = Labels.same(folder_name(source), count)
    else:
        encoded = encoded_labels(files[LABELS_FILE].path, "labels", labels)
    changed = max(files[name].mtime_ns for name in ARRAYS if name in files)
    return _with_npy_captions(source, files, feature_rows(file, ids, encoded, size, changed))


def _npy_column(files: dict[str, SourceFile], name: str) -> pa.ChunkedArray | None:
    """Return an array [n] of a file as a column, None if there is no such file."""
    if name not in files:
        return None
    with loaded(files[name].path) as array:
        if array.ndim != 1:
            raise InputError(
                f"{files[name].path} must hold one value for each row, found the shape "
                f"{list(array.shape)}"
            )
        return _column(array)


def _with_npy_captions(source: SourceConfig, files: dict[str, SourceFile], part: Part) -> Part:
    """Return rows with the captions of NAME.npy, if the source has some."""
    name = f"{source.captions}.npy"
    column = None if source.captions is None else _npy_column(files, name)
    if column is None:
        return part
    if len(column) != len(part):
        raise InputError(
            f"{files[name].path} must hold {len(part)} captions, one for each row, found "
            f"{len(column)}"
        )
    return replace(part, captions=caption_column(files[name], name, column))


def feature_rows(
    file: SourceFile, ids: pa.LargeStringArray, labels: Labels, size: int, changed: int
) -> Part:
    """Return rows of features, which have no images."""
    count = len(labels)
    place = ListedFile(file.path, "features")
    return Part(ids, labels, spread(size, count), spread(changed, count), place, np.arange(count))


def _column(array: np.ndarray) -> pa.ChunkedArray:
    """Return numbers or texts of an array [n] as a column."""
    if array.dtype.kind in NUMBER_KINDS:
        return pa.chunked_array([pa.array(array.astype(array.dtype.newbyteorder("=")))])
    starts = range(0, max(1, len(array)), PART)
    kind = TEXT if array.dtype.kind == "U" else pa.large_binary()
    parts = [npy.plain_values(array[start : start + PART]) for start in starts]
    return pa.chunked_array([pa.array(part, kind) for part in parts])


def _check_arrays(source: SourceConfig, features: npy.Header, count: int) -> None:
    if len(features.shape) != 2 or count != features.shape[0] or features.dtype.kind != "f":
        raise InputError(
            f"{source.path} must hold features [n, d] of floating-point numbers and labels [n], "
            f"found {features.dtype} {list(features.shape)} and [{count}]"
        )


def _npy_ids(files: dict[str, SourceFile], count: int) -> pa.LargeStringArray:
    if IDS_FILE not in files:
        return row_ids(files[FEATURES_FILE], count)
    path = files[IDS_FILE].path
    with loaded(path) as stored:
        return text_ids(path, "ids", _column(stored))
