"""Counts with their nouns, the same in every table, page and report."""

from collections.abc import Sequence

ENDINGS = ("s", "x", "ch", "sh")
"""Nouns that end in one of these take es: classes, batches."""
HARD = ("epoch",)
"""Nouns whose ch is a k: epochs."""


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return a count with its noun, such as 1 image, 2,000 images or 20 classes.

    Args:
        count: how many.
        noun: for one.
        plural: for any other number; by default made by the rule of English.
    """
    return f"{count:,} {noun if count == 1 else plural or plural_of(noun)}".rstrip()


def plural_of(noun: str) -> str:
    """Return the plural of a noun by the rule of English; nothing of nothing."""
    if not noun:
        return ""
    takes_es = noun.endswith(ENDINGS) and noun not in HARD
    return noun + ("es" if takes_es else "s")


def range_and_sum(counts: Sequence[int], unit: str = "class") -> str:
    """Return numbers of images in words, such as "3 to 12 images a class, 520 in all".

    One number alone is that of all images.
    """
    if len(counts) == 1:
        return counted(counts[0], "image")
    few, many = min(counts, default=0), max(counts, default=0)
    each = counted(few, "image") if few == many else f"{few:,} to {many:,} images"
    return f"{each} a {unit}, {sum(counts):,} in all"
