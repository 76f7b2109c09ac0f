"""One row of the tables of README.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One row: what was measured, and the names of its figures.

    Several names give the range of their values.
    """

    what: str
    ours: str = ""
    """Names of figures, separated by spaces; none if the row is a ratio alone."""
    unit: str = ""
    versus: str = ""
    """What the yardstick is; empty if there is none."""
    yardstick: str = ""
    """Name of its figure, in the same unit; empty if only the ratio was kept."""
    ratio: str = ""
    """Names of figures, separated by spaces."""
    ratio_unit: str = ""
    """What the ratio means, as in "4,191 times faster"."""


def names_of(pattern: str, parts: tuple[str, ...]) -> str:
    """Return the pattern with each part in its place, separated by spaces."""
    return " ".join(pattern.format(part) for part in parts)
