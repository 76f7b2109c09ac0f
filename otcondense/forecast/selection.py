"""Time of the selection on CPU cores, scaled from measured classes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from otcondense.forecast import measured
from otcondense.forecast.stages import Stage, Term, Workers
from otcondense.selection.large_class import has_cost_rows

LARGE_SEARCH_SHARE = 0.4
"""Time of a pair of a class without a matrix of costs, as a share of that of the measured classes:
the kernel is float32, and visited in blocks that fit into the cache (benchmarks.large_class)."""
LARGE_BOUND_SHARE = 0.1
"""The same for the lower bound, which works on a limited number of rows."""


POLISH_SHARE = 0.6
"""Time of polishing the groups of a class, as a share of that of their selections and bounds: 6 to
8 s for 8,000 images, where the selections of 20,000 take 30 s (benchmarks.groups)."""
PATH_SHARE = 0.4
"""Time of a greedy choice, as a share of that of a search for as many images: a rough figure, from
one made-up class of 1,000 images with 256 features (0.9 of 2.2 s for 30 of them)."""


@dataclass(frozen=True)
class SelectionWork:
    """The classes of one subset."""

    title: str
    sizes: Sequence[int]
    """Images of each class."""
    budgets: Sequence[int]
    """Images to choose from each class."""
    method: str = "geometry_aware"
    """The selection method; one without measured times only reads the features."""
    bound: bool = True
    """Whether the lower bound is computed too."""

    def seconds(self, size: int, budget: int) -> float:
        """Return the time of one class on one core."""
        if self.method == "geometry_aware":
            return class_seconds(size, budget, bound=self.bound)
        return baseline_seconds(self.method, size, budget)


def class_seconds(size: int, budget: int, *, bound: bool) -> float:
    """Return the time of one class on one core.

    The search is linear between the measured budgets and proportional outside, and quadratic in the
    size of the class, as the bound is. A class uses one core; two were measured, and one is taken
    to need twice the time. A pair of a large class takes a smaller, measured share of that.
    """
    known = sorted(measured.SELECTION_SECONDS)
    seconds = [measured.SELECTION_SECONDS[each] for each in known]
    inside = float(np.interp(budget, known, seconds))
    outside = budget / float(np.clip(budget, known[0], known[-1]))
    search = inside * outside
    bounding = measured.BOUND_SECONDS if bound else 0.0
    if has_cost_rows(size):
        search *= LARGE_SEARCH_SHARE
        bounding *= LARGE_BOUND_SHARE
    total = search + bounding
    return measured.CPU_CORES * total * (size / measured.SELECTION_IMAGES) ** 2


def baseline_seconds(method: str, size: int, budget: int) -> float:
    """Return the time of one class of a baseline on one core; 0 if it was not measured.

    Linear between the measured budgets, that of the nearest one outside, quadratic in the size.
    """
    seconds = measured.BASELINE_SECONDS.get(method, {budget: 0.0})
    known = sorted(seconds)
    at_budget = float(np.interp(budget, known, [seconds[each] for each in known]))
    return at_budget * (size / measured.BASELINE_IMAGES) ** 2


def selection_stage(work: SelectionWork, workers: Workers) -> Stage:
    """Return the time of a selection: all classes over the cores, and at least the longest."""
    read = measured.READ_CLASS_SECONDS / measured.SELECTION_IMAGES
    reading = [read * size for size in work.sizes]
    searching = [
        work.seconds(size, budget) for size, budget in zip(work.sizes, work.budgets, strict=True)
    ]
    terms = (
        Term("reading", math.fsum(reading) / workers.count),
        Term("searching", _spread(searching, workers)),
    )
    return Stage("select_subset", work.title, terms, workers)


def polishing_term(classes: Sequence[SelectionWork], workers: Workers) -> Term:
    """Return the time of polishing: one worker visits all groups of a class.

    Args:
        classes: the selections of the groups of each class.
        workers: what works on them.
    """
    of_classes = []
    for work in classes:
        seconds = map(work.seconds, work.sizes, work.budgets)
        of_classes.append(POLISH_SHARE * math.fsum(seconds))
    return Term("polishing", _spread(of_classes, workers))


def paths_term(groups: SelectionWork, workers: Workers) -> Term:
    """Return the time of the greedy choices by which a budget is shared among groups.

    Args:
        groups: their sizes, and the images of their paths.
        workers: what works on them.
    """
    seconds = []
    for size, images in zip(groups.sizes, groups.budgets, strict=True):
        seconds.append(PATH_SHARE * class_seconds(size, images, bound=False))
    return Term("sharing the budget", _spread(seconds, workers))


def _spread(seconds: Sequence[float], workers: Workers) -> float:
    """Return the time of tasks that are spread over workers: at least that of the longest."""
    return max(max(seconds, default=0.0), math.fsum(seconds) / workers.count)
