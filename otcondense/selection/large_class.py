"""Which classes are too large for a matrix of all costs."""

LARGEST_MATRIX = 4096
"""Images of the largest class whose matrix of costs is held: 400 MB with the kernel of the bounds.

Larger ones take less time and memory without it. Smaller ones keep every digit of their results.
"""


def has_cost_rows(size: int, *, cost_is_given: bool = False) -> bool:
    """Return whether the costs of a class are computed in rows, when they are needed.

    It depends on the class alone, so that every machine takes the same way. A matrix that the
    caller gives is there already.
    """
    return size > LARGEST_MATRIX and not cost_is_given
