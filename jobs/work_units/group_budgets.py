"""How the budget of a class is shared among its groups."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from jobs.run_directory.budget_rules import allocate
from jobs.run_directory.budgets import ForcedImages, too_few_for_groups
from jobs.run_directory.groups import Groups
from otcondense.errors import InputError
from otcondense.selection.composed import by_gains

POWERS = {"proportional": 1.0, "sqrt": 0.5, "uniform": 0.0}
"""Weight of a group by the rule: this power of its size."""
NOT_FORCED = ForcedImages()
"""The lists of a group without images that must or must not be chosen."""


@dataclass(frozen=True)
class ClassOfGroups:
    """The groups of one class, and what limits the images that each can give."""

    name: str
    holder: str
    """The class in words, for messages."""
    sizes: dict[str, int]
    """Images of each group."""
    least: dict[str, int]
    """Images that each group gives at least: 1, and those that must be chosen."""
    most: dict[str, int]
    """Images that each group can give: those that may be chosen, exact copies counted once."""

    def number(self, budget: int) -> int:
        """Return the images to choose: a class with fewer gives all that it has.

        Raises: InputError for fewer than the groups must give.
        """
        needed = sum(self.least.values())
        if budget < len(self.sizes):
            raise too_few_for_groups(self.holder, budget, str(len(self.sizes)))
        if budget < needed:
            raise InputError(
                f"selection.budget gives {self.holder} {budget} images, but its groups must give "
                f"{needed}: those of selection.include and selection.start, and one of each "
                "other group; raise the budget or groups.most"
            )
        return min(budget, max(needed, sum(self.most.values())))


def classes_of_groups(
    groups: Groups, forced: Mapping[str, ForcedImages], *, has_copies: bool
) -> Iterator[ClassOfGroups]:
    """Yield each class with its groups, in the order of the classes.

    Args:
        groups: the groups of all classes.
        forced: images that must or must not be chosen, by group.
        has_copies: whether exact copies may be chosen like other images.
    """
    candidates = groups.sizes if has_copies else groups.distinct
    members: dict[str, list[str]] = {}
    for name, of_class in groups.class_of.items():
        members.setdefault(of_class, []).append(name)
    for of_class, names in members.items():
        sizes = {name: groups.sizes[name] for name in names}
        lists = {name: forced.get(name, NOT_FORCED) for name in names}
        least = {name: max(1, len(each.include)) for name, each in lists.items()}
        most = {}
        for name in names:
            most[name] = max(least[name], candidates[name] - len(lists[name].exclude))
        yield ClassOfGroups(of_class, groups.holder(of_class), sizes, least, most)


def shared(of: ClassOfGroups, budgets: Sequence[int], rule: str) -> list[dict[str, int]]:
    """Return the images of each group for increasing budgets of the class.

    No group gives fewer for a larger budget.

    Args:
        of: the class.
        budgets: images of the class.
        rule: one of `POWERS`.

    Raises: InputError for a budget below what the groups must give.
    """
    weights = {name: math.pow(size, POWERS[rule]) for name, size in of.sizes.items()}
    least, found = of.least, []
    for budget in budgets:
        if len(of.sizes) == 1:
            # A class that is one group has the budget of a class without groups.
            found.append(dict.fromkeys(of.sizes, budget))
            continue
        least = allocate(of.number(budget), weights, least, of.most)
        found.append(least)
    return found


def shared_by_gains(
    of: ClassOfGroups, budgets: Sequence[int], paths: Mapping[str, Mapping[int, float]]
) -> list[dict[str, int]]:
    """Return the images of each group for increasing budgets, by what the objective gains.

    What no path can take is shared by size. A group without a path, whose images are all copies of
    a few, gives its share by size.

    Args:
        of: the class.
        budgets: images of the class.
        paths: of each group, the objective of its greedy choice by the number of its images.

    Raises: InputError for a budget below what the groups must give.
    """
    if len(of.sizes) == 1:
        return shared(of, budgets, "proportional")
    total = sum(of.sizes.values())
    shares = {name: size / total for name, size in of.sizes.items()}
    weights = {name: float(size) for name, size in of.sizes.items()}
    least: dict[str, int] = dict(of.least)
    found = []
    for budget in budgets:
        number = of.number(budget)
        by_size = allocate(number, weights, least, of.most)
        least |= {name: by_size[name] for name in least if not paths[name]}
        least = by_gains(number, shares, least, of.most, paths)
        least = allocate(number, weights, least, of.most)
        found.append(least)
    return found
