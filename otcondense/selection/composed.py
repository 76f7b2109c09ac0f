r"""Selections of groups, taken together: shared budgets, one objective, one lower bound, one gap.

For groups $g$ of $n_g$ of the $n$ images, and a fixed number of images for each, the objective of
the whole is $L(S) = \sum_g (n_g/n) L_g(S_g)$. It is separable, so that the same sum of the lower
bounds bounds every subset with these numbers (docs/method.md).
"""

import heapq
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from otcondense.counts import counted
from otcondense.selection.gap import gap
from otcondense.shares import gap_text

COMPOSED = "composed"
"""Key of the selections of all groups as one in the metadata of a manifest."""


@dataclass(frozen=True)
class GroupValue:
    """What is known of the selection of one group, in units of the cost of the features."""

    size: int
    """Images of the group, >= 1."""
    objective: float | None
    """None if the method has no objective, or if there was nothing to choose."""
    lower_bound: float | None
    """No subset of the group with as many images has a lower objective; None if unknown."""
    is_whole: bool = False
    """Whether all images that may be chosen were: every subset with this number is the same."""


@dataclass(frozen=True)
class Composed:
    """The selections of all groups as one."""

    num_groups: int
    num_whole: int
    """Groups in which there was nothing to choose; objective and bound count them as 0."""
    objective: float
    """Sum of the objectives of the groups, each times its share of the images."""
    lower_bound: float
    """The same sum of the lower bounds; nan if one is unknown."""

    @property
    def gap(self) -> float:
        """Share of the objective by which it may exceed the best subset with these numbers."""
        return gap(self.objective, self.lower_bound)

    def words(self) -> str:
        """Return objective, bound and gap in words."""
        whole = f" ({self.num_whole:,} taken whole)" if self.num_whole else ""
        text = f"objective of {counted(self.num_groups, 'group')}{whole} {self.objective:.6g}"
        if math.isfinite(self.gap):
            text += (
                f", at least {self.lower_bound:.6g} for any other images with these numbers: "
                f"gap {gap_text(self.gap)}"
            )
        return text

    def to_json(self) -> dict[str, int | float | None]:
        """Return the JSON object that manifests hold."""
        bound = self.lower_bound if math.isfinite(self.lower_bound) else None
        return {**asdict(self), "lower_bound": bound}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Composed":
        """Return the selections stored as `value`."""
        bound = math.nan if value["lower_bound"] is None else float(value["lower_bound"])
        return cls(**{**value, "lower_bound": bound})


def compose(groups: Iterable[GroupValue]) -> Composed | None:
    """Return the selections of groups as one; None if a group has no objective.

    A group that is taken whole adds the same to every subset with these numbers. It counts as 0.
    """
    found = list(groups)
    total = sum(each.size for each in found)
    objectives, bounds = [], []
    for each in found:
        if each.is_whole:
            continue
        if each.objective is None:
            return None
        bound = math.nan if each.lower_bound is None else each.lower_bound
        objectives.append(each.size / total * each.objective)
        bounds.append(each.size / total * bound)
    if not objectives:
        return None
    return Composed(
        num_groups=len(found),
        num_whole=len(found) - len(objectives),
        objective=math.fsum(objectives),
        lower_bound=math.fsum(bounds),
    )


def by_gains(
    total: int,
    shares: Mapping[str, float],
    least: Mapping[str, int],
    most: Mapping[str, int],
    paths: Mapping[str, Mapping[int, float]],
) -> dict[str, int]:
    """Share a number of images among groups: each goes where the objective falls most.

    The image after the k-th of a group lowers the objective of the whole by
    share * (L(k) - L(k + 1)), L the objective of the greedy choice. If every L is convex, no other
    numbers give greedy choices with a lower sum. Ties go by name.

    Args:
        total: images, at least the sum of `least`.
        shares: share of each group of all images.
        least: images that each group has at least.
        most: images that each group can give.
        paths: objective of each group by its number of images. A number that is not there ends the
            path, but a missing first one: its gain is that of the next image.

    Returns: the images of each group; their sum is below the total if all paths end before.
    """
    numbers = dict(least)
    heap: list[tuple[float, str]] = []

    def offer(name: str) -> None:
        gain = _gain(paths.get(name, {}), numbers[name])
        if gain is not None and numbers[name] < most[name]:
            heapq.heappush(heap, (-shares[name] * gain, name))

    for name in numbers:
        offer(name)
    for _ in range(total - sum(numbers.values())):
        if not heap:
            break
        _, name = heapq.heappop(heap)
        numbers[name] += 1
        offer(name)
    return numbers


def _gain(path: Mapping[int, float], number: int) -> float | None:
    """Return by how much one more image than `number` lowers the objective; None if unknown."""
    if number + 1 not in path:
        return None
    if number in path:
        return path[number] - path[number + 1]
    return path[number + 1] - path[number + 2] if number + 2 in path else 0.0
