"""Suggestions for mistyped names, the same in every message."""

import difflib
from collections.abc import Iterable
from pathlib import Path

MOST_ENTRIES = 10_000
"""Most names of a folder that a mistyped one is compared with, the first ones in order."""


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """Return `; did you mean NAME?` for the nearest known names; empty if none is near.

    Args:
        word: what was found; its case does not matter, and - counts as _.
        known: the names there are.
        count: most names that are suggested.
    """
    return suggested(_near(word, known, count))


def near_path(path: Path) -> str:
    """Return `; did you mean PATH?` for the nearest name in its folder; empty if none is near."""
    near = _near(path.name, visible_names(path.parent), 1)
    return suggested(str(path.parent / name) for name in near)


def visible_names(folder: Path) -> list[str]:
    """Return the names in a folder that are not hidden, in order; none if it cannot be read."""
    try:
        names = [each.name for each in folder.iterdir() if not each.name.startswith(".")]
    except (OSError, ValueError):  # a name with a null byte
        return []
    return sorted(names)[:MOST_ENTRIES]


def _near(word: str, known: Iterable[str], count: int) -> list[str]:
    names = {each.lower().replace("-", "_"): each for each in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), names, n=count)
    return [names[each] for each in near]


def suggested(names: Iterable[str]) -> str:
    """Return `; did you mean A or B?`; empty for no name."""
    listed = " or ".join(names)
    return f"; did you mean {listed}?" if listed else ""


def nearest_settings(word: str, names: Iterable[str], count: int = 3) -> list[str]:
    """Return the dotted names that are nearest to a word, the best first.

    Those whose last part is the word, or begins with it, come before similar ones.
    """
    last = word.rpartition(".")[2]
    leaves: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        leaves.setdefault(name.rpartition(".")[2], []).append(name)
    every = [name for same in leaves.values() for name in same]
    found = [*leaves.get(last, ()), *leaves.get(f"{last}s", ())]
    if last:
        found += [name for leaf, same in leaves.items() if leaf.startswith(last) for name in same]
    found += difflib.get_close_matches(word, every, n=count)
    for leaf in difflib.get_close_matches(last, leaves, n=count):
        found += leaves[leaf]
    return list(dict.fromkeys(found))[:count]
