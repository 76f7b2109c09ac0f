"""Suggestions for mistyped names, the same in every message."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], count: int = 1) -> str:
    """Return `; did you mean NAME?` for the nearest known names; empty if none is near.

    Args:
        word: what was found; its case does not matter, and - counts as _.
        known: the names there are.
        count: most names that are suggested.
    """
    names = {each.lower().replace("-", "_"): each for each in known}
    near = difflib.get_close_matches(word.lower().replace("-", "_"), names, n=count)
    return suggested([names[each] for each in near])


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
