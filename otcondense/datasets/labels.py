"""From labelled rows to a listing: class names, class indices, and every mistake in them named."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from otcondense.datasets.records import ImageRecord, Listing, SourceConfig
from otcondense.errors import InputError

SHOWN = 5
"""How many names an error message lists."""
LONGEST_NAME = 200
MOST_CLASSES = 1_000_000
"""Whole numbers from here on are taken for ids or times, not for class indices."""
"""Bytes of a class name, which is part of the name of a directory."""


@dataclass(frozen=True)
class LabelledRow:
    """One image as a container holds it, its label as found."""

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
    path = Path(source.class_names)
    if not path.is_file():
        raise InputError(
            f"source.class_names must be a text file with one class name per line, found nothing at {path}"
        )
    names = tuple(path.read_text(encoding="utf-8").splitlines())
    if not names or "" in names or len(set(names)) < len(names):
        raise InputError(f"{path} must have one class name per line, no two alike and none empty")
    return names


def used_classes(source: SourceConfig, classes: Iterable[str]) -> frozenset[str]:
    """Return the classes that `source.classes` asks for, all by default.

    Raises: InputError for a name that is not among them, with the nearest.
    """
    known = sorted(classes)
    for name in source.classes or ():
        if name not in known:
            near = get_close_matches(name, known, n=3) or known[:SHOWN]
            raise InputError(
                f"class {name!r} is not in {source.path}; nearest names: {', '.join(near)}"
            )
    return frozenset(known if source.classes is None else source.classes)


def shorten(names: Iterable[str]) -> str:
    """Return the first few names for a message."""
    listed = list(names)
    return ", ".join(listed[:SHOWN]) + (", ..." if len(listed) > SHOWN else "")


def build_listing(
    source: SourceConfig, rows: list[LabelledRow], names: tuple[str, ...] | None, ignored: list[str]
) -> Listing:
    """Return the listing of a container's rows.

    An integer label is the class index and, without `names`, its decimal digits are the class name. A text label is the class
    name; its index is its place in `source.class_names`, else its rank among all labels.

    Raises: InputError for a label that is neither, an unknown class, a class without images or an identifier that occurs twice.
    """
    if not rows:
        raise InputError(f"{source.path} must hold labelled images, found none")
    _refuse_duplicates(source, rows)
    classes = _classes(source, rows, read_class_names(source) or names)
    index = {name: position for position, name in enumerate(classes)}
    named = [(row, _class_name(source, row, classes)) for row in rows]
    used = used_classes(source, {name for _, name in named})
    records = [
        ImageRecord(row.image_id, name, index[name], row.location, row.size_bytes, row.mtime_ns)
        for row, name in named
        if name in used
    ]
    return Listing(
        classes, sorted(records, key=lambda record: (record.class_index, record.image_id)), ignored
    )


def _refuse_duplicates(source: SourceConfig, rows: list[LabelledRow]) -> None:
    seen: set[str] = set()
    doubled = sorted(
        {row.image_id for row in rows if row.image_id in seen or seen.add(row.image_id)}
    )  # type: ignore[func-returns-value]
    if doubled:
        raise InputError(
            f"every image of {source.path} must have an id of its own, found {len(doubled)} more than once: {shorten(doubled)}"
        )


def _classes(
    source: SourceConfig, rows: list[LabelledRow], names: tuple[str, ...] | None
) -> tuple[str, ...]:
    kinds = {type(row.label) for row in rows}
    if not kinds <= {int, str} or len(kinds) > 1:
        bad = next(
            row
            for row in rows
            if type(row.label) not in (int, str) or type(row.label) is not type(rows[0].label)
        )
        raise InputError(
            f"labels of {source.path} must all be whole numbers or all be text, found {bad.label!r} for {bad.image_id}; "
            "set source.label_column to the column of the labels"
        )
    classes = names or (
        tuple(sorted({row.label for row in rows})) if kinds == {str} else _numbered(source, rows)
    )
    for name in classes:
        _check_name(source, name)
    return classes


def _numbered(source: SourceConfig, rows: list[LabelledRow]) -> tuple[str, ...]:
    highest = max(rows, key=lambda row: row.label)
    if highest.label >= MOST_CLASSES:
        raise InputError(
            f"labels of {source.path} must be class indices below {MOST_CLASSES}, found {highest.label} for {highest.image_id}; set "
            "source.label_column to the column of the labels"
        )
    return tuple(str(number) for number in range(highest.label + 1))


def _class_name(source: SourceConfig, row: LabelledRow, classes: tuple[str, ...]) -> str:
    if isinstance(row.label, str):
        if source.class_names is not None and row.label not in classes:
            near = get_close_matches(row.label, classes, n=3) or list(classes[:SHOWN])
            raise InputError(
                f"label {row.label!r} of {row.image_id} is not in {source.class_names}; nearest names: {', '.join(near)}"
            )
        return str(row.label)
    if not 0 <= row.label < len(classes):
        raise InputError(
            f"the label of {row.image_id} in {source.path} must lie between 0 and {len(classes) - 1}, found {row.label}; leave out rows "
            "without a label"
        )
    return classes[int(row.label)]


def _check_name(source: SourceConfig, name: str) -> None:
    """Refuse a class name that cannot be the name of a directory."""
    if (
        not name
        or name in (".", "..")
        or {"/", "\\", "\0", "\n"} & set(name)
        or len(name.encode()) > LONGEST_NAME
    ):
        raise InputError(
            f"a class name must be usable as the name of a folder (no / or line break, at most {LONGEST_NAME} bytes), found {name!r} in "
            f"{source.path}; list names for the labels in a file and set source.class_names"
        )
