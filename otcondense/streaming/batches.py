"""The arrays of a batch: features as 32-bit numbers, ids and labels as texts."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import ArrayLike

from otcondense.errors import InputError
from otcondense.reading import check_text
from otcondense.selection.arrays import as_array, as_matrix
from otcondense.unit_rows import COSINE, CostName, unit_rows


def narrow_features(
    batch: ArrayLike, width: int | None, cost: CostName, first_row: int = 0
) -> Float32[np.ndarray, "m d"]:
    """Return the features of a batch as they are kept.

    Args:
        batch: numbers [m, d].
        width: columns of the images before; None if there are none.
        cost: cosine takes the rows at unit length.
        first_row: number of the first row, for messages.

    Raises: InputError for other columns, and for numbers that are not finite or have no place in
        32 bits.
    """
    values = as_matrix("features", batch, first_row)
    if width is not None and values.shape[1] != width:
        raise InputError(
            f"features must have {width} columns as the images before, found {values.shape[1]}; "
            "do they come from another encoder?"
        )
    if cost == COSINE:
        values = unit_rows(values, first_row=first_row)
    with np.errstate(over="ignore"):
        narrow: np.ndarray = values.astype(np.float32)
    if not np.isfinite(narrow).all():
        row = first_row + int(np.argwhere(~np.isfinite(narrow))[0, 0])
        raise InputError(
            f"features must fit 32-bit numbers, found larger ones in row {row}; scale them"
        )
    return narrow


def check_same(name: str, before: object, values: object) -> None:
    """Refuse ids or labels that are there in some batches only.

    Args:
        name: ids or labels.
        before: whether the batches before had them; None if there are none.
        values: those of this batch, or None.

    Raises: InputError.
    """
    if before is not None and before is (values is None):
        found = "none" if values is None else "some"
        raise InputError(f"{name} must be given with all images or with none, found {found} now")


def texts_of(name: str, values: Any, count: int, first_row: int = 0) -> tuple[str, ...]:
    """Return ids or labels as texts.

    Args:
        name: ids or labels, for messages.
        values: texts or numbers.
        count: images of the batch.
        first_row: number of the first row, for messages.

    Raises: InputError for another number of them, or one that is missing or no text or number.
    """
    plain = values if isinstance(values, (list, tuple)) else as_array(name, values).tolist()
    if not isinstance(plain, (list, tuple)) or len(plain) != count:
        found = len(plain) if isinstance(plain, (list, tuple)) else "a single value"
        raise InputError(f"{name} must have a value for each of {count} rows, found {found}")
    return tuple(_text(name, row, value) for row, value in enumerate(plain, first_row))


def _text(name: str, row: int, value: object) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    is_missing = value is None or value in ("", b"") or value != value
    if is_missing or not isinstance(value, (str, bytes, int, float)):
        raise InputError(
            f"{name} must be a text or a number in each row, found {value!r} in row {row}"
        )
    try:
        text = value.decode() if isinstance(value, bytes) else str(value)
    except UnicodeDecodeError as error:
        raise InputError(f"{name} must be texts in UTF-8, found {value!r} in row {row}") from error
    check_text(text, f"{name} in row {row}")
    return text


def check_new(ids: Sequence[str], in_memory: Iterable[str], first_row: int = 0) -> None:
    """Refuse ids that repeat each other, or that of an image in memory.

    Args:
        ids: of new images.
        in_memory: ids of the images that are kept.
        first_row: number of the first new image, for messages.

    Raises: InputError with the id.
    """
    if len(set(ids)) < len(ids):
        first: dict[str, int] = {}
        for row, each in enumerate(ids, first_row):
            if each in first:
                raise InputError(
                    f"ids must all be different, found {each!r} in the rows {first[each]} and {row}"
                )
            first[each] = row
    known = set(ids)
    again = next((each for each in in_memory if each in known), None)
    if again is not None:
        raise InputError(
            f"ids must all be different, found {again!r} a second time in the stream, in row "
            f"{first_row + ids.index(again)}; give each image an id of its own, and each image once"
        )
