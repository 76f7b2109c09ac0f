"""What a budget means: a number, a share, a total with its allocation, or one for each class."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise

from otcondense.errors import InputError
from otcondense.selection.budgets import images_in, share_of

Budget = int | str | dict[str, int | str]
"""A number or a share such as "1%" of each class, either of them by class name, or a total such as
{total: 10000, allocation: sqrt}."""

ALLOCATIONS = ("uniform", "proportional", "sqrt")
"""Ways to share a total: equally, by the size of the classes, or by its square root."""
TOTAL_KEYS = frozenset({"total", "allocation"})
"""Keys of a total; a mapping with any other key names classes."""
HALVINGS = 100
"""Halvings of the interval of the level that meets a total: more than a float64 tells apart."""
EXPECTED = (
    'a number of images, a share such as "1%" (above 0, at most 100%), {total: NUMBER, allocation: '
    f"{' | '.join(ALLOCATIONS)}}}, or a number or share for each class"
)
"""What a budget can be, for messages."""


def check_budget(budget: Budget, name: str) -> None:
    """Check a budget without its source.

    Args:
        budget: the budget.
        name: of its setting, for messages.

    Raises: ValueError with the name, the expected and the found value.
    """
    if not isinstance(budget, dict):
        _check_one(budget, name)
    elif is_total(budget):
        _check_total(budget, name)
    else:
        if not budget:
            raise ValueError(f"{name} must be {EXPECTED}, found {{}}")
        for class_name, each in budget.items():
            _check_one(each, f"{name}.{class_name}")


def is_total(budget: Budget) -> bool:
    """Tell whether a budget is that of all classes together."""
    return isinstance(budget, dict) and "total" in budget and budget.keys() <= TOTAL_KEYS


def is_exact(budget: Budget, class_name: str) -> bool:
    """Tell whether a class must meet its budget: it is a number of images, not a share."""
    if isinstance(budget, dict):
        return not is_total(budget) and isinstance(budget[class_name], int)
    return isinstance(budget, int)


def _check_one(budget: int | str, name: str) -> None:
    if isinstance(budget, str):
        _share(budget, name)
    elif budget < 1:
        raise ValueError(f"{name} must be at least 1, found {budget}")


def _check_total(budget: Mapping[str, int | str], name: str) -> None:
    total = budget["total"]
    if not isinstance(total, int) or total < 1:
        raise ValueError(f"{name}.total must be a number of at least 1, found {total!r}")
    allocation = budget.get("allocation", ALLOCATIONS[0])
    if allocation not in ALLOCATIONS:
        raise ValueError(
            f"{name}.allocation must be one of {', '.join(ALLOCATIONS)}, found {allocation!r}"
        )


def _share(text: str, name: str) -> Decimal:
    """Return a share from 0 to 1.

    Raises: ValueError if the text is no percentage above 0 and up to 100.
    """
    share = share_of(text)
    if share is None:
        raise ValueError(f"{name} must be {EXPECTED}, found {text!r}")
    return share


def is_increasing(budgets: Sequence[int | str]) -> bool:
    """Tell whether budgets are all numbers or all shares, and each is larger than the last."""
    if len({type(budget) for budget in budgets}) > 1:
        return False
    values = [_share(each, "budgets") if isinstance(each, str) else each for each in budgets]
    return all(smaller < larger for smaller, larger in pairwise(values))


def label(budget: int | str) -> str:
    """Return a budget as a part of a file's name: 10, or 2.5pct for a share."""
    return (
        str(budget)
        if isinstance(budget, int)
        else f"{(_share(budget, 'budget') * 100).normalize():f}pct"
    )


def describe(budget: Budget) -> str:
    """Return a budget in words."""
    if not isinstance(budget, dict):
        if isinstance(budget, int):
            return f"{budget} a class"
        return f"{budget.removesuffix('%')} % of each class"
    if is_total(budget):
        return f"{budget['total']} in all, {budget.get('allocation', ALLOCATIONS[0])}"
    return "a number for each class"


def resolve(budget: Budget, sizes: Mapping[str, int]) -> dict[str, int]:
    """Return how many images to choose from each class.

    A share is rounded to the nearest number, halves up. A total is met exactly: classes get what
    the allocation gives them, at least 1 and at most all, rounded by the largest remainders (ties
    by name). Only a plain number can exceed its class.

    Args:
        budget: checked by `check_budget`.
        sizes: images of each class, >= 1.

    Raises: InputError if a mapping does not name every class, or a total is less than one image a
        class or more than all.
    """
    if not isinstance(budget, dict):
        return {name: _of_class(budget, size) for name, size in sizes.items()}
    if is_total(budget):
        return _allocate(budget, sizes)
    missing = sorted(set(sizes) - set(budget))
    surplus = sorted(set(budget) - set(sizes))
    if missing or surplus:
        raise InputError(
            "selection.budget must name every class once; "
            f"missing: {missing[:SHOWN]}, not in the source: {surplus[:SHOWN]}"
        )
    return {name: _of_class(budget[name], size) for name, size in sizes.items()}


SHOWN = 5
"""Class names that an error lists."""


def _of_class(budget: int | str, size: int) -> int:
    if isinstance(budget, int):
        return budget
    return images_in(_share(budget, "selection.budget"), size)


def _allocate(budget: Mapping[str, int | str], sizes: Mapping[str, int]) -> dict[str, int]:
    total = int(budget["total"])
    available = sum(sizes.values())
    if not len(sizes) <= total <= available:
        raise InputError(
            f"selection.budget.total must be from {len(sizes)} (one image a class) to {available} "
            f"(all images of the source), found {total}"
        )
    power = {"uniform": 0.0, "sqrt": 0.5, "proportional": 1.0}[
        str(budget.get("allocation", ALLOCATIONS[0]))
    ]
    weights = {name: math.pow(size, power) for name, size in sizes.items()}
    wanted = _filled(total, sizes, weights)
    images = {name: math.floor(each) for name, each in wanted.items()}
    by_remainder = sorted(sizes, key=lambda name: (images[name] - wanted[name], name))
    free = [name for name in by_remainder if images[name] < sizes[name]]
    for name in free[: total - sum(images.values())]:
        images[name] += 1
    assert sum(images.values()) == total
    return images


def _filled(total: int, sizes: Mapping[str, int], weights: Mapping[str, float]) -> dict[str, float]:
    """Return level * weight of each class, at least 1 and at most its size, with the given sum."""

    def at(level: float) -> dict[str, float]:
        return {name: min(float(sizes[name]), max(1.0, level * weights[name])) for name in sizes}

    low, high = 0.0, max(sizes[name] / weights[name] for name in sizes)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if sum(at(middle).values()) < total:
            low = middle
        else:
            high = middle
    return at(low)


def range_and_sum(counts: Sequence[int]) -> str:
    """Return numbers of images in words, such as "3 to 12 images a class, 520 in all"."""
    few, many = min(counts, default=0), max(counts, default=0)
    each = f"{few}" if few == many else f"{few} to {many}"
    return f"{each} images a class, {sum(counts)} in all"
