"""The splits of a data set by the names of its files, as Hugging Face's libraries read them."""

import re
from collections import Counter
from collections.abc import Iterable

from otcondense.errors import InputError

SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
"""Splits with the words that stand for them in names.

Source: the automatic data files of the `datasets` library.
"""
WORDS = {word: split for split, words in SPLITS.items() for word in words}
BETWEEN_WORDS = re.compile(r"[-._ 0-9]+")
"""What separates words in the name of a file or folder."""


def split_of(name: str) -> str | None:
    """Return the split that a file belongs to by its name or that of a folder, None if unknown.

    The name of the file counts more than those of its folders.
    """
    for part in reversed(name.split("/")):
        for word in _words(part):
            if word in WORDS:
                return WORDS[word]
    return None


def is_split(name: str) -> bool:
    """Tell whether the name of a folder is that of a split, as `val` is."""
    return name.lower() in WORDS


def belongs_to(name: str, split: str) -> bool:
    """Tell whether a file belongs to a split; `val` and `validation` are the same."""
    wanted = WORDS.get(split.lower())
    if wanted is not None:
        return split_of(name) == wanted
    return any(split.lower() in _words(part) for part in name.split("/"))


def refuse_mixed_splits(path: str, names: Iterable[str]) -> None:
    """Refuse files of several splits: the test set would get into the subset.

    Raises: InputError with both ways to choose one.
    """
    counts = Counter(split_of(name) for name in names)
    counts.pop(None, None)
    if len(counts) < 2:
        return
    found = ", ".join(f"{split} ({count} files)" for split, count in sorted(counts.items()))
    split = "train" if "train" in counts else min(str(each) for each in counts)
    raise InputError(
        f"{path} must hold one split, found {found}; set source.split={split}, or name the files "
        f"with a pattern such as source.path='{path.rstrip('/')}/{split}-*'"
    )


def refuse_other_splits(path: str, split: str, names: Iterable[str]) -> None:
    """Refuse a split that no file belongs to.

    Raises: InputError with those that are there.
    """
    listed = list(names)
    if any(belongs_to(name, split) for name in listed):
        return
    splits = sorted({found for found in map(split_of, listed) if found is not None})
    there = f"the splits {', '.join(splits)}" if splits else f"{len(listed)} files of none"
    raise InputError(f"source.split={split} must be a split of {path}, found {there}")


def _words(part: str) -> list[str]:
    return [word for word in BETWEEN_WORDS.split(part.lower()) if word]
