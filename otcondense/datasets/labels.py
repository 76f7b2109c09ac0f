"""From labels as they are stored to classes and their indices, with a message for every mistake.

All checks are made on the different labels: there are a thousand of them, not millions.
"""

from collections.abc import Iterable
from difflib import get_close_matches

import numpy as np
from jaxtyping import Bool, Int32

from otcondense.datasets.names import check_class_name, order_classes
from otcondense.datasets.parts import NO_LABEL, Joined
from otcondense.datasets.records import SourceConfig
from otcondense.errors import InputError
from otcondense.reading import read_text

SHOWN = 5
"""Names that an error message lists."""
NEAR = 3
"""Similar names that an error message lists."""
MOST_CLASSES = 1_000_000
"""Class indices are below this; larger labels are ids or times, in a column of another meaning."""


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
    different = frozenset(known)
    for name in source.classes or ():
        if name not in different:
            near = get_close_matches(name, known, n=NEAR) or known[:SHOWN]
            raise InputError(
                f"class {name!r} is not in {source.path}; nearest names: {', '.join(near)}"
            )
    return different if source.classes is None else frozenset(source.classes)


def shorten(names: Iterable[str]) -> str:
    """Return the first few names for a message."""
    listed = list(names)
    end = ", ..." if len(listed) > SHOWN else ""
    return ", ".join(listed[:SHOWN]) + end


def find_classes(
    source: SourceConfig, joined: Joined, names: tuple[str, ...] | None
) -> tuple[tuple[str, ...], Int32[np.ndarray, " labels"]]:
    """Return the class names by index, and the class index of each different label.

    An integer label is the class index and, without `names`, its decimal digits are the class name.
    A text label is the class name; its index is its place in `names`, else its rank among all.

    Args:
        source: the configuration.
        joined: the images.
        names: of the classes by index, from the files; `source.class_names` takes their place.

    Raises: InputError for a label that is neither number nor text, or an unknown class.
    """
    is_text = _are_texts(source, joined)
    values = joined.labels.values
    names = read_class_names(source) or names
    if names is not None:
        classes = names
    elif is_text:
        classes = tuple(order_classes(values))
    else:
        classes = _numbered(source, joined)
    for name in classes:
        check_class_name(name, source.path)
    if is_text:
        return classes, _indices_of_names(source, joined, classes)
    return classes, _indices_of_numbers(source, joined, classes)


def _are_texts(source: SourceConfig, joined: Joined) -> bool:
    """Tell whether the labels are texts, not numbers."""
    codes, values = joined.labels.codes, joined.labels.values
    kinds = [*(type(value) for value in values), type(None)]
    expected = kinds[codes[0]]
    is_bad = np.array([kind not in (int, str) or kind is not expected for kind in kinds])
    bad = _first(joined, is_bad)
    if bad is not None:
        label = None if codes[bad] == NO_LABEL else values[codes[bad]]
        raise InputError(
            f"labels of {source.path} must all be whole numbers or all be text, "
            f"found {label!r} for {joined.id_of(bad)}; "
            "set source.label_column to the column of the labels"
        )
    return expected is str


def _first(joined: Joined, is_bad: Bool[np.ndarray, " labels"]) -> int | None:
    """Return the first image with one of these labels, None if there is none."""
    if not is_bad.any():
        return None
    rows = is_bad[joined.labels.codes]
    return int(rows.argmax()) if rows.any() else None


def _numbered(source: SourceConfig, joined: Joined) -> tuple[str, ...]:
    values = joined.labels.values
    highest = max(values)
    if highest >= MOST_CLASSES:
        row = _first(joined, np.array([value == highest for value in values]))
        assert row is not None, "every label has an image"
        raise InputError(
            f"labels of {source.path} must be class indices below {MOST_CLASSES}, "
            f"found {highest} for {joined.id_of(row)}; "
            "set source.label_column to the column of the labels"
        )
    return tuple(str(number) for number in range(highest + 1))


def _indices_of_names(
    source: SourceConfig, joined: Joined, classes: tuple[str, ...]
) -> Int32[np.ndarray, " labels"]:
    values = joined.labels.values
    index = {name: position for position, name in enumerate(classes)}
    unknown = _first(joined, np.array([value not in index for value in values]))
    if unknown is not None:
        label = values[joined.labels.codes[unknown]]
        near = get_close_matches(label, classes, n=NEAR) or list(classes[:SHOWN])
        where = source.class_names or f"the class names that the files of {source.path} state"
        raise InputError(
            f"label {label!r} of {joined.id_of(unknown)} is not in {where}; "
            f"nearest names: {', '.join(near)}"
        )
    return np.array([index[value] for value in values], np.int32)


def _indices_of_numbers(
    source: SourceConfig, joined: Joined, classes: tuple[str, ...]
) -> Int32[np.ndarray, " labels"]:
    values = joined.labels.values
    outside = _first(joined, np.array([not 0 <= value < len(classes) for value in values]))
    if outside is not None:
        raise InputError(
            f"the label of {joined.id_of(outside)} in {source.path} must lie between 0 and "
            f"{len(classes) - 1}, found {values[joined.labels.codes[outside]]}; "
            "leave out rows without a label"
        )
    return np.array(values, np.int32)
