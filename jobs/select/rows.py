"""The rows of `otcondense select`: features, and what is known of each row."""

import argparse
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from jobs.select.arrays import ArrayFile, find_array, find_features, open_arrays
from otcondense import npy
from otcondense.datasets import order_classes
from otcondense.errors import InputError
from otcondense.reading import check_text

ONE_CLASS = "all"
"""Name of the class of rows without labels."""


@dataclass(frozen=True)
class Rows:
    """The rows of all classes and what is known of them."""

    features: Float[np.ndarray, "n d"]
    labels: list[str]
    ids: list[str]
    """All different."""
    has_ids: bool
    """Whether they were given; else they are the numbers of the rows."""
    cross_entropy: Float[np.ndarray, " n"] | None
    logits: Float[np.ndarray, "n c"] | None

    @property
    def classes(self) -> dict[str, Int[np.ndarray, " _"]]:
        """Rows of each class in the order of their ids, by name in order."""
        order = sorted(range(len(self.ids)), key=self.ids.__getitem__)
        found: dict[str, list[int]] = {name: [] for name in order_classes(set(self.labels))}
        for row in order:
            found[self.labels[row]].append(row)
        return {name: np.array(rows) for name, rows in found.items()}


def read_rows(options: argparse.Namespace) -> Rows:
    """Read the features and all that is known of them.

    Raises: InputError if a file is missing or damaged, or lengths do not fit.
    """
    file = open_arrays(options.features)
    features = find_features(file)
    count = len(features)
    names = ("labels", "ids", "cross_entropy", "logits")
    found = {name: _of_length(file, name, getattr(options, name), count) for name in names}
    labels, ids = found["labels"], found["ids"]
    width = len(str(count))
    plain = [f"{row:0{width}d}" for row in range(count)]  # sorted as numbers are
    named = plain if ids is None else _texts("ids", ids)
    _check_different(named)
    return Rows(
        features=features,
        labels=[ONE_CLASS] * count if labels is None else _texts("labels", labels),
        ids=named,
        has_ids=ids is not None,
        cross_entropy=_at_least_zero(_numbers("cross_entropy", found["cross_entropy"], 1)),
        logits=_numbers("logits", found["logits"], 2),
    )


def _of_length(file: ArrayFile, name: str, named: str | None, count: int) -> np.ndarray | None:
    values = find_array(file, name, named)
    if values is None:
        return None
    length = len(values) if values.ndim else "a single value"
    if length != count:
        raise InputError(f"{name} must have a value for each of {count} rows, found {length}")
    return values


def _texts(name: str, values: np.ndarray) -> list[str]:
    """Return labels or ids as texts.

    Raises: InputError if they are not one axis of texts or numbers, or one of them is missing.
    """
    if values.ndim != 1:
        raise InputError(f"{name} must have one axis [n], found {list(values.shape)}")
    try:
        plain = npy.plain_values(values)
    except ValueError as error:
        raise InputError(f"{name} must be a text or a number in each row, but {error}") from error
    return [_text(name, row, each) for row, each in enumerate(plain)]


def _text(name: str, row: int, value: object) -> str:
    is_missing = value is None or value in ("", b"") or value != value
    if is_missing or not isinstance(value, (str, bytes, int, float)):
        raise InputError(
            f"{name} must be a text or a number in each row, found {value!r} in row {row}"
        )
    if not isinstance(value, bytes):
        text = str(value)
    else:
        try:
            text = value.decode()
        except UnicodeDecodeError as error:
            raise InputError(
                f"{name} must be texts in UTF-8, found {value!r} in row {row}"
            ) from error
    check_text(text, f"{name} in row {row}")
    return text


def _check_different(ids: list[str]) -> None:
    first: dict[str, int] = {}
    for row, each in enumerate(ids):
        if each in first:
            raise InputError(
                f"ids must all be different, found {each!r} in the rows {first[each]} and {row}"
            )
        first[each] = row


def _numbers(name: str, values: np.ndarray | None, axes: int) -> np.ndarray | None:
    """Return numbers as float32; texts of a text file are read as numbers.

    Raises: InputError for another number of axes, or a value that is no finite number.
    """
    if values is None:
        return None
    if values.dtype.kind == "U" and axes == values.ndim == 1:
        values = np.array([_number(name, row, text) for row, text in enumerate(values.tolist())])
    if values.ndim != axes or values.dtype.kind not in "fiub":
        expected = "[n]" if axes == 1 else "[n, classes]"
        raise InputError(
            f"{name} must be numbers {expected}, found {values.dtype} {list(values.shape)}"
        )
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32, copy=False)
    if not np.isfinite(narrow).all():
        place = tuple(np.argwhere(~np.isfinite(narrow))[0])
        raise InputError(
            f"{name} must be finite 32-bit numbers, found {values[place]:g} in row {place[0]}"
        )
    return narrow


def _number(name: str, row: int, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f"{name} must be a number in each row, found {text!r} in row {row}"
        ) from error


def _at_least_zero(entropy: np.ndarray | None) -> np.ndarray | None:
    """Return cross-entropies.

    Raises: InputError for one below 0.
    """
    if entropy is not None and entropy.min() < 0:
        row = int(entropy.argmin())
        raise InputError(f"cross_entropy must be at least 0, found {entropy[row]:g} in row {row}")
    return entropy
