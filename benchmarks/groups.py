"""Selection from groups against selection from the whole class, and its time and memory.

`python -m benchmarks.groups [--quick] [--scale]`

The subset chosen through groups, those of other methods, and the one chosen exactly are measured
by the objective of the whole class, with one epsilon.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from benchmarks.synthetic import synthetic_class
from jobs.run_directory.budget_rules import allocate
from otcondense.grouping.config import GroupConfig
from otcondense.grouping.split import split_rows
from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.selection import SELECTORS, GeometryAwareSelector
from otcondense.selection.engine.statistics import make_statistics

SHARE = 0.01
"""Images that are chosen."""
KAPPA = 1.05
EPSILON_SHARE = 0.05
"""Epsilon of the measure, as a share of the median cost: the selector's default."""
SAMPLE = 2000
"""Images whose pairs give the median cost."""
WITHIN = 1.01
"""Asked: the objective of the whole at the choice from groups, over that at the exact choice."""
MOST_SECONDS = 400.0
"""After so many seconds the exact search stops with what it has."""
YARDSTICKS = ("random", "k_means")


@dataclass(frozen=True)
class Case:
    """A made-up class, and the largest groups to try."""

    images: int
    width: int
    most: tuple[int, ...]
    share: float = SHARE


FULL = (
    Case(2000, 64, (500, 1000)),
    Case(2000, 256, (500, 1000)),
    Case(8000, 64, (1000, 2000, 4000)),
    Case(8000, 256, (1000, 2000, 4000)),
)
QUICK = (Case(600, 64, (150, 300), share=0.05),)
SCALE = (20_000, 200_000)
"""Images of the classes whose time and memory are measured."""
SCALE_WIDTH = 64
SCALE_MOST = 2000


class Whole:
    """The objective of a whole class, for subsets of any size: rows of costs, never all pairs."""

    def __init__(self, features: Float[np.ndarray, "n d"]) -> None:
        self.features = torch.as_tensor(features, dtype=torch.float64)
        rows = np.linspace(0, len(features) - 1, min(SAMPLE, len(features))).astype(np.int64)
        sample = self.features[rows]
        costs = torch.cdist(sample, sample).square()
        self.epsilon = EPSILON_SHARE * float(
            costs[~torch.eye(len(rows), dtype=torch.bool)].median()
        )
        self.statistics = make_statistics(
            "diagonal", self.features - self.features.mean(dim=0), None, 1
        )

    def terms(self, chosen: Int[np.ndarray, " k"]) -> dict[str, float]:
        """Return the transport term, the statistics term and their sum."""
        index = torch.as_tensor(chosen)
        cost = torch.cdist(self.features[index], self.features).square()
        problem = PartialProblem(cost, epsilon=self.epsilon, kappa=KAPPA)
        transport = float(SemiDualNewton()(problem).regularized_value)
        statistics = float(self.statistics.value(index))
        return {"transport": transport, "statistics": statistics, "whole": transport + statistics}


def exact(features: Float[np.ndarray, "n d"], budget: int) -> Int[np.ndarray, " k"]:
    """Choose from the whole class."""
    selector = GeometryAwareSelector(
        budget=budget, lower_bound=None, rebuilds=0, max_seconds=MOST_SECONDS
    )
    return selector.fit(features).indices_


def through_groups(
    features: Float[np.ndarray, "n d"], budget: int, most: int, *, bound: bool = False
) -> Int[np.ndarray, " k"]:
    """Choose from groups, whose budgets are proportional to their sizes."""
    labels = split_rows(features.astype(np.float32), GroupConfig(most=most)).labels
    sizes = {str(name): int(size) for name, size in enumerate(np.bincount(labels))}
    weights = {name: float(size) for name, size in sizes.items()}
    numbers = allocate(budget, weights, dict.fromkeys(sizes, 1), sizes)
    chosen = []
    for name, number in numbers.items():
        rows = np.flatnonzero(labels == int(name))
        settings = {} if bound else {"lower_bound": None, "rebuilds": 0}
        selector = GeometryAwareSelector(budget=number, small_class="take_all", **settings)
        chosen.append(rows[selector.fit(features[rows]).indices_])
    return np.concatenate(chosen)


def compare(case: Case) -> dict[str, float]:
    """Print and return what each choice makes of the whole objective, over the exact choice."""
    features = synthetic_class(case.images, case.width, seed=0).features
    budget = round(case.share * case.images)
    whole = Whole(features)
    choices: dict[str, Callable[[], Int[np.ndarray, " k"]]] = {
        "exact": lambda: exact(features, budget)
    }
    for most in case.most:
        choices[f"groups of {most}"] = lambda most=most: through_groups(features, budget, most)
    for name in YARDSTICKS:
        choices[name] = lambda name=name: SELECTORS[name](budget=budget).fit(features).indices_

    found: dict[str, float] = {}
    base: dict[str, float] = {}
    for name, choose in choices.items():
        start = time.perf_counter()
        chosen = choose()
        seconds = time.perf_counter() - start
        terms = whole.terms(chosen)
        base = base or terms
        ratios = {term: value / base[term] for term, value in terms.items()}
        found[name] = ratios["whole"]
        shown = "".join(f"{ratio:>12.4f}" for ratio in ratios.values())
        print(f"{case.images:>7} x {case.width:<4}{name:<16}{shown}{seconds:>10.1f} s", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one class of 600 images")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'class':<14}{'choice':<16}{'transport':>12}{'statistics':>12}{'whole':>12}")
    for case in QUICK if args.quick else FULL:
        compare(case)


if __name__ == "__main__":
    main()
