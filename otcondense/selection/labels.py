"""Labels of classes: texts or numbers, one for each image."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray

from otcondense.errors import InputError
from otcondense.selection.arrays import as_array

CERTAIN = frozenset("biuSU")
"""Kinds of dtypes in which no value is missing."""
SHOWN = 5
"""Labels that an error lists."""


def as_labels(y: Any, size: int) -> NDArray[Any]:
    """Return labels as an array.

    Raises: InputError for another number of them than of images, for one that is missing, and for
        labels of several kinds, which NumPy would make texts.
    """
    labels = as_array("y", y)
    if labels.shape != (size,):
        raise InputError(f"y must have one label per image ({size}), found shape {labels.shape}")
    if labels.dtype.kind in "US" and isinstance(y, (list, tuple)):
        if not all(isinstance(each, (str, bytes)) for each in y):
            raise _of_several_kinds(y)
    elif labels.dtype.kind not in CERTAIN:
        _check_each(labels)
    return labels


def _check_each(labels: NDArray[Any]) -> None:
    for row, each in enumerate(labels.tolist()):
        if _is_missing(each) or _is_missing(labels[row]):
            raise InputError(f"y must hold a label for every image, found {each!r} in row {row}")
        if not isinstance(each, Hashable):
            raise _of_several_kinds(labels.tolist())


def classes_of(y: Any, size: int) -> tuple[NDArray[Any], Int[np.ndarray, " n"]]:
    """Return the sorted labels, and the place of each image's label among them.

    Args:
        y: the labels; None is one class, named 0.
        size: number of images.

    Raises: InputError as `as_labels`, and for labels without an order.
    """
    if y is None:
        return np.zeros(1, dtype=np.int64), np.zeros(size, dtype=np.int64)
    labels = as_labels(y, size)
    try:
        classes, places = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise _of_several_kinds(labels.tolist()) from error
    return classes, places


def check_one_class(y: Any, size: int) -> None:
    """Check the labels that a selector of one class is given.

    Raises: InputError as `as_labels`, and for labels of several classes.
    """
    if y is None:
        return
    classes = len(set(as_labels(y, size).tolist()))
    if classes > 1:
        raise InputError(
            f"y must hold one class, found {classes}: a selector sees one class at a time; "
            "ClassSelector(selector).fit(X, y) chooses from every class"
        )


def _is_missing(value: object) -> bool:
    """Tell whether a label is None, NaN, or pandas' NA, which is not even equal to itself."""
    try:
        return value is None or not bool(value == value)
    except (TypeError, ValueError):
        return True


def _of_several_kinds(labels: Sequence[Any]) -> InputError:
    found = list(labels[:SHOWN])
    return InputError(f"y must hold labels of one kind, texts or numbers, found {found}")
