"""Names of groups: the name of the class and a number, apart from the names of all classes."""

from collections.abc import Iterable

from otcondense.datasets.names import LONGEST_NAME
from otcondense.store.hashing import hash8

MARK = "~"
"""Stands between class and number, once more than in the name of any class."""


def separator_of(class_names: Iterable[str]) -> str:
    """Return the text between class and number: `~`, repeated until no class has it in its name."""
    names = list(class_names)
    separator = MARK
    while any(separator in name for name in names):
        separator += MARK
    return separator


def group_names(class_name: str, count: int, separator: str) -> list[str]:
    """Return the names of the groups of a class.

    Args:
        class_name: the class.
        count: its groups, >= 1.
        separator: as `separator_of` returns it.

    Returns: the name of the class if it is one group, else `CLASS~0001` and so on, with as many
        digits as the last one needs. The name of a class that would be too long for a folder is
        cut, and ends in a hash.
    """
    if count == 1:
        return [class_name]
    digits = len(str(count))
    room = LONGEST_NAME - len(separator) - digits
    stem = class_name
    if len(class_name.encode()) > room:
        ending = f"-{hash8(class_name)}"
        kept = class_name.encode()[: room - len(ending)].decode(errors="ignore")
        stem = kept + ending
    return [f"{stem}{separator}{number:0{digits}d}" for number in range(1, count + 1)]
