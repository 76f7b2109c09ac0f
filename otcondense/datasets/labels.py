"""From labelled rows to a listing: class names, class indices, and a message for every mistake."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from otcondense.datasets.from_records import listing_of
from otcondense.datasets.listing import Listing
from otcondense.datasets.names import check_class_name, check_image_ids, order_classes
from otcondense.datasets.records import ImageRecord, SourceConfig
from otcondense.errors import InputError
from otcondense.reading import read_text

SHOWN = 5
"""Names that an error message lists."""
NEAR = 3
"""Similar names that an error message lists."""
MOST_CLASSES = 1_000_000
"""Class indices are below this; larger labels are ids or times, in a column of another meaning."""


@dataclass(frozen=True)
class LabelledRow:
    """One image in a container, with its label as stored."""

    image_id: str
    label: Any
    location: str
    size_bytes: int
    mtime_ns: int


def read_class_names(source: SourceConfig) -> tuple[str, ...] | None:
    """Return the lines of the file `source.class_names`, None if none is set.

    Raises: InputError if it is missing, or a line is empty or doubled.
    """
    if source.class_names is None:
        return None
    path = source.class_names
    text = read_text(path, "source.class_names must be a text file with one class name per line")
    names = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
    if names == ("",) or "" in names or len(set(names)) < len(names):
        raise InputError(f"{path} must have one class name per line, all different and none empty")
    for name in names:
        check_class_name(name, path)
    return names


def used_classes(source: SourceConfig, classes: Iterable[str]) -> frozenset[str]:
    """Return the classes that `source.classes` asks for, all by default.

    Raises: InputError for a name that is not among them, with the nearest.
    """
    known = sorted(classes)
    for name in source.classes or ():
        if name not in known:
            near = get_close_matches(name, known, n=NEAR) or known[:SHOWN]
            raise InputError(
                f"class {name!r} is not in {source.path}; nearest names: {', '.join(near)}"
            )
    return frozenset(known if source.classes is None else source.classes)


def shorten(names: Iterable[str]) -> str:
    """Return the first few names for a message."""
    listed = list(names)
    end = ", ..." if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + end


def build_listing(
    source: SourceConfig, rows: list[LabelledRow], names: tuple[str, ...] | None, ignored: list[str]
) -> Listing:
    """Return the listing of a container's rows.

    An integer label is the class index and, without `names`, its decimal digits are the class name.
    A text label is the class name; its index is its place in `source.class_names`, else its rank
    among all labels.

    Raises: InputError for a label that is neither, an unknown class, a class without images or an
        id that occurs twice.
    """
    if not rows:
        raise InputError(f"{source.path} must hold labelled images, found none")
    check_image_ids((row.image_id for row in rows), source.path)
    _refuse_duplicates(source, rows)

    classes = _classes(source, rows, read_class_names(source) or names)
    index = {name: position for position, name in enumerate(classes)}
    class_names = [_class_name(source, row, classes) for row in rows]
    used = used_classes(source, set(class_names))

    records = []
    for row, name in zip(rows, class_names, strict=True):
        if name in used:
            place = row.location
            records.append(
                ImageRecord(row.image_id, name, index[name], place, row.size_bytes, row.mtime_ns)
            )
    records.sort(key=lambda record: (record.class_index, record.image_id))
    return listing_of(classes, records, ignored)


def _refuse_duplicates(source: SourceConfig, rows: list[LabelledRow]) -> None:
    counts = Counter(row.image_id for row in rows)
    doubled = sorted(image_id for image_id, count in counts.items() if count > 1)
    if doubled:
        raise InputError(
            f"every image of {source.path} must have an id of its own, "
            f"found {len(doubled)} more than once: {shorten(doubled)}"
        )


def _classes(
    source: SourceConfig, rows: list[LabelledRow], names: tuple[str, ...] | None
) -> tuple[str, ...]:
    kinds = {type(row.label) for row in rows}
    if not kinds <= {int, str} or len(kinds) > 1:
        bad = _first_bad(rows)
        raise InputError(
            f"labels of {source.path} must all be whole numbers or all be text, "
            f"found {bad.label!r} for {bad.image_id}; "
            "set source.label_column to the column of the labels"
        )
    if names:
        classes = names
    elif kinds == {str}:
        classes = tuple(order_classes(row.label for row in rows))
    else:
        classes = _numbered(source, rows)
    for name in classes:
        check_class_name(name, source.path)
    return classes


def _first_bad(rows: list[LabelledRow]) -> LabelledRow:
    """Return the first row whose label is no number or text, or of another type than the first."""
    expected = type(rows[0].label)
    return next(
        row for row in rows if type(row.label) not in (int, str) or type(row.label) is not expected
    )


def _numbered(source: SourceConfig, rows: list[LabelledRow]) -> tuple[str, ...]:
    highest = max(rows, key=lambda row: row.label)
    if highest.label >= MOST_CLASSES:
        raise InputError(
            f"labels of {source.path} must be class indices below {MOST_CLASSES}, "
            f"found {highest.label} for {highest.image_id}; "
            "set source.label_column to the column of the labels"
        )
    return tuple(str(number) for number in range(highest.label + 1))


def _class_name(source: SourceConfig, row: LabelledRow, classes: tuple[str, ...]) -> str:
    if isinstance(row.label, str):
        if source.class_names is not None and row.label not in classes:
            near = get_close_matches(row.label, classes, n=NEAR) or list(classes[:SHOWN])
            raise InputError(
                f"label {row.label!r} of {row.image_id} is not in {source.class_names}; "
                f"nearest names: {', '.join(near)}"
            )
        return str(row.label)
    if not 0 <= row.label < len(classes):
        raise InputError(
            f"the label of {row.image_id} in {source.path} must lie between 0 and "
            f"{len(classes) - 1}, found {row.label}; leave out rows without a label"
        )
    return classes[int(row.label)]
