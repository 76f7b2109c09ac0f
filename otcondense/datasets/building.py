"""From the parts of a source to its listing: checked, sorted and without duplicates."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Int32, Int64

from otcondense.datasets.captions import checked_captions
from otcondense.datasets.ids import check_image_ids
from otcondense.datasets.labels import find_classes, shorten, used_classes
from otcondense.datasets.listing import COLUMNS, NO_FILE, ListedFile, Listing, Unusable
from otcondense.datasets.parts import TEXT, Joined, Part, join
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError


def build_listing(
    source: SourceConfig,
    parts: Sequence[Part],
    names: tuple[str, ...] | None,
    ignored: Sequence[str],
    root: str = "",
) -> Listing:
    """Return the listing of the images in the parts of a source.

    Args:
        source: the configuration.
        parts: in the order of their files.
        names: of the classes by index if the files state them.
        ignored: files and members that are no images.
        root: folder below which images without a path lie.

    Raises: InputError for a wrong label or id, an id that occurs twice, an unknown class, or a
        class without a usable image.
    """
    if source.captions is not None:
        parts = [checked_captions(part) for part in parts]
    joined = join(parts)
    if not len(joined.ids):
        raise InputError(f"{source.path} must hold labelled images, found none")
    check_image_ids(joined.ids, source.path)
    is_sorted = _check_different(source, joined.ids)

    classes, index_of_label = find_classes(source, joined, names)
    class_index = index_of_label[joined.labels.codes]
    is_present = np.zeros(len(classes), np.bool_)
    is_present[index_of_label] = True
    used = used_classes(source, [classes[index] for index in np.flatnonzero(is_present)])
    is_used = np.array([name in used for name in classes])
    _refuse_unusable_classes(source, joined, classes, class_index, is_used)

    is_kept = is_used[class_index] & joined.usable
    order = _order(joined, class_index, is_kept, is_sorted=is_sorted)
    files, file = _files(parts)
    table = _table(joined, class_index, file, order)
    unusable = [
        Unusable(joined.id_of(row), classes[class_index[row]], reason)
        for row, reason in joined.faults()
        if is_used[class_index[row]]
    ]
    captions = None if source.captions is None else _captions(parts, pa.array(order))
    return Listing(classes, table, root, files, ignored, unusable, captions)


def _captions(parts: Sequence[Part], rows: pa.Array) -> pa.Array:
    """Return the captions of some images."""
    chunks = [part.captions for part in parts]
    return _one_chunk(pa.chunked_array(chunks, TEXT).take(rows))


def _check_different(source: SourceConfig, ids: pa.ChunkedArray) -> bool:
    """Refuse ids that occur twice.

    Returns: whether the ids are sorted, as those of files in order are.
    """
    if pc.all(pc.less(ids[:-1], ids[1:])).as_py() is not False:
        return True
    if pc.count_distinct(ids).as_py() == len(ids):
        return False
    counts = ids.value_counts()
    doubled = counts.field("values").filter(pc.greater(counts.field("counts"), 1)).sort()
    raise InputError(
        f"every image of {source.path} must have an id of its own, "
        f"found {len(doubled)} more than once: {shorten(doubled.to_pylist())}"
    )


def _refuse_unusable_classes(
    source: SourceConfig,
    joined: Joined,
    classes: tuple[str, ...],
    class_index: Int32[np.ndarray, " n"],
    is_used: Bool[np.ndarray, " classes"],
) -> None:
    """Refuse classes all of whose images are known to be unusable."""
    total = np.bincount(class_index, minlength=len(classes))
    usable = np.bincount(class_index[joined.usable], minlength=len(classes))
    lost = [classes[index] for index in np.flatnonzero((total > 0) & (usable == 0) & is_used)]
    if lost:
        reason = next(
            f"{joined.id_of(row)}: {reason}"
            for row, reason in joined.faults()
            if classes[class_index[row]] == lost[0]
        )
        raise InputError(
            f"every class of {source.path} must have an image that can be used, found "
            f"{len(lost)} without: {shorten(lost)} ({reason}); "
            "repair them, or name the wanted ones in source.classes"
        )


def _order(
    joined: Joined,
    class_index: Int32[np.ndarray, " n"],
    is_kept: Bool[np.ndarray, " n"],
    *,
    is_sorted: bool,
) -> Int64[np.ndarray, " kept"]:
    """Return the rows that are kept, sorted by class and id; the ids may be sorted already."""
    if is_sorted:
        rows = np.flatnonzero(is_kept)
        return rows[np.argsort(class_index[rows], kind="stable")]
    keys = pa.table({"class": class_index, "id": joined.ids})
    by = [("class", "ascending"), ("id", "ascending")]
    order: np.ndarray = pc.sort_indices(keys, sort_keys=by).to_numpy().astype(np.int64)
    return order if is_kept.all() else order[is_kept[order]]


def _files(
    parts: Sequence[Part],
) -> tuple[tuple[ListedFile, ...], Int32[np.ndarray, " n"]]:
    """Return the different files, and the number of the file of each image."""
    numbers: dict[ListedFile, int] = {}
    of_part = []
    for part in parts:
        number = NO_FILE
        if part.file is not None:
            number = numbers.setdefault(part.file, len(numbers))
        of_part.append(number)
    lengths = [len(part) for part in parts]
    return tuple(numbers), np.repeat(np.array(of_part, np.int32), lengths)


def _table(
    joined: Joined,
    class_index: Int32[np.ndarray, " n"],
    file: Int32[np.ndarray, " n"],
    order: Int64[np.ndarray, " kept"],
) -> pa.Table:
    """Return the columns of a listing; one column at a time is in memory twice."""
    rows = pa.array(order)
    columns = {
        "image_id": _one_chunk(joined.ids.take(rows)),
        "class_index": pa.array(class_index[order]),
        "size_bytes": pa.array(_numbers(joined.parts, "size_bytes")[order]),
        "mtime_ns": pa.array(_numbers(joined.parts, "mtime_ns")[order]),
        "file": pa.array(file[order]),
        "position": pa.array(_numbers(joined.parts, "position")[order]),
        "path": _paths(joined.parts, rows),
    }
    return pa.table(columns, schema=COLUMNS)


def _numbers(parts: Sequence[Part], name: str) -> Int64[np.ndarray, " n"]:
    """Return a column of numbers of all parts; positions are 0 where there are none."""
    total = sum(len(part) for part in parts)
    numbers = np.zeros(total, np.int64)
    start = 0
    for part in parts:
        values = getattr(part, name)
        if values is not None:
            numbers[start : start + len(part)] = values
        start += len(part)
    return numbers


def _paths(parts: Sequence[Part], rows: pa.Array) -> pa.Array:
    """Return the locations of the images that have one of their own."""
    if all(part.path is None for part in parts):
        return pa.nulls(len(rows), TEXT)
    chunks = [pa.nulls(len(part), TEXT) if part.path is None else part.path for part in parts]
    return _one_chunk(pa.chunked_array(chunks, TEXT).take(rows))


def _one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    return column
