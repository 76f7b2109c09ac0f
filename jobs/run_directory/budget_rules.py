"""What a budget means: a number, a share, a total with its allocation, or one for each class."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import pairwise

import numpy as np

from otcondense.errors import InputError
from otcondense.selection.budgets import as_text, images_in, images_or_share
from otcondense.wrong_values import shown

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
    'a number of images, a share such as "1%" or 0.01 (above 0, at most 100%), {total: NUMBER, '
    f"allocation: {' | '.join(ALLOCATIONS)}}}, or a number or share for each class"
)
"""What a budget can be, for messages."""


def plain_budget(budget: object) -> object:
    """Return a budget as `Budget` has it: shares as texts such as "1%", classes by their names.

    What is no budget stays as it is, for `check_budget`.
    """
    if not isinstance(budget, dict):
        return as_text(budget)
    plain: dict[object, object] = {}
    for key, each in budget.items():
        is_number = isinstance(key, int) and not isinstance(key, bool)
        plain[str(key) if is_number else key] = as_text(each)
    return plain


def check_budget(budget: object, name: str) -> None:
    """Check a budget without its source.

    Args:
        budget: the budget, as `plain_budget` returns it.
        name: of its setting or option, for messages.

    Raises: ValueError with the name, the expected and the found value.
    """
    if not isinstance(budget, dict):
        _check_one(budget, name)
    elif is_total(budget):
        _check_total(budget, name)
    else:
        if not budget or not all(isinstance(key, str) for key in budget):
            raise ValueError(f"{name} must be {EXPECTED}, found {shown(budget)}")
        for class_name, each in budget.items():
            _check_one(each, f"{name}.{class_name}")


def is_total(budget: object) -> bool:
    """Tell whether a budget is that of all classes together."""
    return isinstance(budget, dict) and "total" in budget and budget.keys() <= TOTAL_KEYS


def is_exact(budget: Budget, class_name: str) -> bool:
    """Tell whether a class must meet its budget: it is a number of images, not a share."""
    if isinstance(budget, dict):
        return not is_total(budget) and isinstance(budget[class_name], int)
    return isinstance(budget, int)


def _check_one(budget: object, name: str) -> None:
    if images_or_share(budget) is not None:
        return
    is_number = isinstance(budget, int) and not isinstance(budget, bool)
    expected = "at least 1" if is_number else EXPECTED
    raise ValueError(f"{name} must be {expected}, found {shown(budget)}")


def _check_total(budget: Mapping[str, object], name: str) -> None:
    total = budget["total"]
    if not isinstance(total, int) or isinstance(total, bool) or total < 1:
        raise ValueError(f"{name}.total must be a number of at least 1, found {shown(total)}")
    allocation = budget.get("allocation", ALLOCATIONS[0])
    if allocation not in ALLOCATIONS:
        found = shown(allocation)
        raise ValueError(
            f"{name}.allocation must be one of {', '.join(ALLOCATIONS)}, found {found}"
        )


def is_increasing(budgets: Sequence[int | str]) -> bool:
    """Tell whether budgets are all numbers or all shares, and each is larger than the last."""
    if len({type(budget) for budget in budgets}) > 1:
        return False
    values = [_meaning(each) for each in budgets]
    return all(smaller < larger for smaller, larger in pairwise(values))


def label(budget: int | str) -> str:
    """Return a budget as a part of a file's name: 10, or 2.5pct for a share."""
    if isinstance(budget, int):
        return str(budget)
    return f"{(Decimal(_meaning(budget)) * 100).normalize():f}pct"


def _meaning(budget: int | str) -> int | Decimal:
    """Return the number of images or the share that a checked budget means."""
    found = images_or_share(budget)
    assert found is not None
    return found


def describe(budget: Budget, *, of_all: bool = False) -> str:
    """Return a budget in words.

    Args:
        budget: the budget.
        of_all: whether it is that of all images together, not of each class.
    """
    if of_all and isinstance(budget, dict):
        budget = budget["total"] if is_total(budget) else next(iter(budget.values()))
    if isinstance(budget, int):
        return f"{budget} {'in all' if of_all else 'a class'}"
    if isinstance(budget, str):
        return f"{budget.removesuffix('%')} % of {'all images' if of_all else 'each class'}"
    if is_total(budget):
        return f"{budget['total']} in all, {budget.get('allocation', ALLOCATIONS[0])}"
    return "a number for each class"


def resolve(
    budget: Budget, sizes: Mapping[str, int], setting: str = "selection.budget"
) -> dict[str, int]:
    """Return how many images to choose from each class.

    A share is rounded to the nearest number, halves up. A total is met exactly: classes get what
    the allocation gives them, at least 1 and at most all, rounded by the largest remainders (ties
    by name). Only a plain number can exceed its class.

    Args:
        budget: checked by `check_budget`.
        sizes: images of each class, >= 1.
        setting: that holds the budget, for messages.

    Raises: InputError if a mapping does not name every class, or a total is less than one image a
        class or more than all.
    """
    if not isinstance(budget, dict):
        return {name: _of_class(budget, size) for name, size in sizes.items()}
    if is_total(budget):
        return _allocate(budget, sizes, setting)
    missing = sorted(set(sizes) - set(budget))
    surplus = sorted(set(budget) - set(sizes))
    if missing or surplus:
        raise InputError(
            f"{setting} must name every class once; "
            f"missing: {missing[:SHOWN]}, not in the source: {surplus[:SHOWN]}"
        )
    return {name: _of_class(budget[name], size) for name, size in sizes.items()}


SHOWN = 5
"""Class names that an error lists."""


def _of_class(budget: int | str, size: int) -> int:
    wanted = _meaning(budget)
    return wanted if isinstance(wanted, int) else images_in(wanted, size)


def _allocate(
    budget: Mapping[str, int | str], sizes: Mapping[str, int], setting: str
) -> dict[str, int]:
    total = int(budget["total"])
    available = sum(sizes.values())
    if not len(sizes) <= total <= available:
        raise InputError(
            f"{setting}.total must be from {len(sizes)} (one image a class) to {available} "
            f"(all images), found {total}"
        )
    power = {"uniform": 0.0, "sqrt": 0.5, "proportional": 1.0}[
        str(budget.get("allocation", ALLOCATIONS[0]))
    ]
    weights = {name: math.pow(size, power) for name, size in sizes.items()}
    return allocate(total, weights, least=dict.fromkeys(sizes, 1), most=sizes)


def allocate(
    total: int, weights: Mapping[str, float], least: Mapping[str, int], most: Mapping[str, int]
) -> dict[str, int]:
    """Return whole numbers in proportion to weights, within limits, with a given sum.

    Fractions are rounded by the largest remainders, ties by name.

    Args:
        total: the sum, from that of `least` to that of `most`.
        weights: by name, > 0.
        least: smallest number of each.
        most: largest number of each, at least the smallest one.
    """
    wanted = _filled(total, weights, least, most)
    images = {name: math.floor(each) for name, each in wanted.items()}
    by_remainder = sorted(weights, key=lambda name: (images[name] - wanted[name], name))
    free = [name for name in by_remainder if images[name] < most[name]]
    for name in free[: total - sum(images.values())]:
        images[name] += 1
    assert sum(images.values()) == total
    return images


def _filled(
    total: int, weights: Mapping[str, float], least: Mapping[str, int], most: Mapping[str, int]
) -> dict[str, float]:
    """Return level * weight of each, within its limits, with the given sum."""
    weight = np.array([weights[name] for name in weights])
    lowest = np.array([least[name] for name in weights], dtype=np.float64)
    highest = np.array([most[name] for name in weights], dtype=np.float64)

    def at(level: float) -> list[float]:
        numbers: list[float] = np.minimum(highest, np.maximum(lowest, level * weight)).tolist()
        return numbers

    low, high = 0.0, float((highest / weight).max())
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if sum(at(middle)) < total:
            low = middle
        else:
            high = middle
    return dict(zip(weights, at(low), strict=True))
