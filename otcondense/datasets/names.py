"""Names of classes and ids of images: the rules of every later stage, checked once, at listing.

A class name becomes part of the name of a directory, and both go into tables, logs and messages.
So do the names that a configuration gives to its models, judges and variants.
"""

import unicodedata
from collections.abc import Iterable

from otcondense.errors import InputError

FOLDER_PREFIX = "class_name="
"""In front of the class name in the name of a directory of a run."""
LONGEST_FILE_NAME = 255
"""Bytes that a file system allows for one name."""
LONGEST_NAME = LONGEST_FILE_NAME - len(FOLDER_PREFIX)
"""Bytes of a class name at most."""
LONGEST_ID = 4096
"""Bytes of an image id at most, as long as a path can be."""
LONGEST_GIVEN = 200
"""Bytes of a name that a configuration gives: a method and a hash must fit behind it."""
SEPARATORS = frozenset("/\\")
"""Characters that separate folders, here or on another system."""
FORBIDDEN_KINDS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories that no name may have: control characters, which break lines and terminals,
lone surrogates, which are no text, and separators of lines and paragraphs."""
SHOWN = 80
"""Characters of a name in a message."""


def check_class_name(name: str, where: str) -> None:
    """Refuse a class name that a later stage could not use.

    Args:
        name: the name.
        where: the source, for the message.

    Raises: InputError with the rule that it breaks.
    """
    reason = _text_fault(name, LONGEST_NAME)
    if reason is None and SEPARATORS & set(name):
        reason = "has no slash and no backslash"
    if reason is None and name in (".", ".."):
        reason = "is not . or .."
    if reason is not None:
        raise InputError(
            f"a class name must be usable as the name of a folder (it {reason}), "
            f"found {shown_name(name)} in {where}; "
            "rename it, or list names for the labels in a file and set source.class_names"
        )


def check_image_id(image_id: str, where: str) -> None:
    """Refuse the id of an image that a later stage could not store.

    Raises: InputError with the rule that it breaks.
    """
    reason = _text_fault(image_id, LONGEST_ID)
    if reason is not None:
        raise InputError(
            f"the id of an image must be plain text (it {reason}), "
            f"found {shown_name(image_id)} in {where}; rename it"
        )


def check_given_name(name: str, owner: str, *, in_paths: bool = False) -> None:
    """Refuse a name of a configuration that tables, pages and figures could not show.

    Args:
        name: the name, such as that of a variant.
        owner: what has the name, for the message.
        in_paths: whether it becomes part of a path.

    Raises: InputError with the rule that it breaks.
    """
    reason = _text_fault(name, LONGEST_GIVEN)
    if reason is None and not name.strip():
        reason = "is not blank"
    if reason is None and in_paths and SEPARATORS & set(name):
        reason = "has no slash and no backslash"
    if reason is not None:
        raise InputError(
            f"the name of a {owner} must be plain text (it {reason}), "
            f"found {shown_name(name)}; rename it"
        )


def is_below(name: str) -> bool:
    """Tell whether a name is a relative path that does not lead upwards."""
    parts = name.split("/")
    return not {"\\", "\0"} & set(name) and not {"", ".", ".."} & set(parts)


def _text_fault(name: str, longest: int) -> str | None:
    """Return the rule for all names that one breaks, or None."""
    if not name:
        return "is not empty"
    if not name.isprintable() and any(
        unicodedata.category(each) in FORBIDDEN_KINDS for each in name
    ):
        return "has no control characters or line breaks and is valid Unicode"
    if len(name.encode()) > longest:
        return f"has at most {longest} bytes in UTF-8"
    return None


def shown_name(name: str) -> str:
    """Return a name for a message."""
    return ascii(name[:SHOWN]) + ("..." if len(name) > SHOWN else "")


ORDER_OF_CLASSES = (
    "Whole numbers by their value, other names by their characters, capitals first: the order of "
    "the labels, the same everywhere."
)
"""What `order_classes` does, for people."""


def order_classes(names: Iterable[str]) -> list[str]:
    """Return class names, each once, in the order of their indices.

    Whole numbers (0, 1, ..., 11) are in numeric order, as a classifier counts its outputs. Other
    names are in the order of their characters.
    """
    different = set(names)
    if all(name.isascii() and name.isdigit() for name in different):
        return sorted(different, key=_numeric_order)
    return sorted(different)


def _numeric_order(digits: str) -> tuple[int, str, str]:
    """Return a key that sorts whole numbers of any length, and equal ones by their zeros."""
    significant = digits.lstrip("0")
    return len(significant), significant, digits
