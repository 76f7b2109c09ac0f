"""A part of a stream: rows of features, with ids and labels where there are some."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

FEATURES = "features"
"""Name of the array or column of features."""
KINDS = ("ids", "labels")
"""What else is read."""
PART_ROWS = 4096
"""Most rows of a part."""
PART_BYTES = 2**26
"""Most bytes of the features of a part, unless one row has more."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns of ids and labels; None is the default, which need not be there."""

    ids: str | None = None
    labels: str | None = None

    def of(self, where: str, names: Sequence[str]) -> dict[str, str]:
        """Return the name of the column of each kind that a file has.

        Raises: InputError for a named one that it does not have, and without features.
        """
        if FEATURES not in names:
            found = ", ".join(names) or "none"
            raise InputError(f"{where} must have a column {FEATURES}, found {found}; rename it")
        used = {FEATURES: FEATURES}
        for kind in KINDS:
            named = getattr(self, kind)
            if named is not None and named not in names:
                raise InputError(
                    f"--{kind} must name a column of {where}, found {named}"
                    f"{did_you_mean(named, names) or _where_instead(kind)}"
                )
            if (named or kind) in names:
                used[kind] = named or kind
        return used


@dataclass(frozen=True, eq=False)
class Part:
    """Some rows of a stream."""

    first: int
    """Number of its first row in the file, from 0."""
    features: np.ndarray
    ids: list[Any] | None = None
    labels: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.features)

    @property
    def end(self) -> int:
        """Number of the row after its last one."""
        return self.first + len(self)

    def cut(self, rows: slice) -> "Part":
        """Return some of its rows."""
        start, _, _ = rows.indices(len(self))
        ids = None if self.ids is None else self.ids[rows]
        labels = None if self.labels is None else self.labels[rows]
        return Part(self.first + start, self.features[rows], ids, labels)


def rows_of_a_part(row_bytes: int) -> int:
    """Return the number of rows of a part, given the bytes of a row of features."""
    return max(1, min(PART_ROWS, PART_BYTES // max(1, row_bytes)))


def _where_instead(kind: str) -> str:
    """Return where ids and labels are to be, for who named something else than a column."""
    return (
        f"; put {kind} into the same file as the features, as with numpy.savez('all.npz', "
        f"{FEATURES}=..., {kind}=...), and leave --{kind} out"
    )
