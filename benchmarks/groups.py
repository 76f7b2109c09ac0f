"""Selection from groups against selection from the whole class, and its time and memory.

`python -m benchmarks.groups [--quick]`

The subset chosen through groups, those of other methods, and the one chosen exactly are measured
by the objective of the whole class, with one epsilon. Then time and memory of larger classes, each
in a process of its own (`--only IMAGES`).
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from jobs.run_directory.budget_rules import allocate
from otcondense.grouping.config import GroupConfig
from otcondense.grouping.split import split_rows
from otcondense.machine import peak_memory
from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.selection import SELECTORS, GeometryAwareSelector
from otcondense.selection.engine.statistics import make_statistics
from otcondense.selection.polished import polish

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
QUICK_SCALE = (2000, 6000)
"""Images of the classes whose time and memory are measured."""
SCALE_WIDTH = 64
SCALE_MOST = 2000
MOST_GB = 8.0
"""Asked: peak memory of a process that chooses from 200,000 images."""
MOST_SLOPE = 1.1
"""Asked: the time grows with the images, not with their square."""


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
    features: Float[np.ndarray, "n d"],
    budget: int,
    most: int,
    *,
    bound: bool = False,
    polished: bool = False,
) -> Int[np.ndarray, " k"]:
    """Choose from groups, whose budgets are proportional to their sizes.

    Polished choices begin with those of the groups, then swap under the statistics of the whole.
    """
    labels = split_rows(features.astype(np.float32), GroupConfig(most=most)).labels
    groups = [np.flatnonzero(labels == number) for number in range(labels.max() + 1)]
    sizes = {str(number): len(rows) for number, rows in enumerate(groups)}
    weights = {name: float(size) for name, size in sizes.items()}
    numbers = allocate(budget, weights, dict.fromkeys(sizes, 1), sizes)
    settings: dict[str, Any] = {} if bound else {"lower_bound": None, "rebuilds": 0}
    chosen = []
    for number, rows in zip(numbers.values(), groups, strict=True):
        selector = GeometryAwareSelector(budget=number, small_class="take_all", **settings)
        chosen.append(rows[selector.fit(features[rows]).indices_])
    return np.concatenate(polish(features, groups, chosen) if polished else chosen)


def _by_method(name: str, features: Float[np.ndarray, "n d"], budget: int) -> Int[np.ndarray, " k"]:
    """Choose by another method from the whole class."""
    return SELECTORS[name](budget=budget).fit(features).indices_


def compare(case: Case) -> dict[str, float]:
    """Print and return what each choice makes of the whole objective, over the exact choice.

    Its seconds are under its name with `_seconds` behind it.
    """
    features = synthetic_class(case.images, case.width, seed=0).features
    budget = round(case.share * case.images)
    whole = Whole(features)
    choices: dict[str, Callable[[], Int[np.ndarray, " k"]]] = {
        "exact": partial(exact, features, budget)
    }
    for most in case.most:
        for polished in (False, True):
            name = f"groups of {most}{', polished' if polished else ''}"
            choices[name] = partial(through_groups, features, budget, most, polished=polished)
    for name in YARDSTICKS:
        choices[name] = partial(_by_method, name, features, budget)

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
        found[f"{name}_seconds"] = seconds
        shown = "".join(f"{ratio:>12.4f}" for ratio in ratios.values())
        print(f"{case.images:>7} x {case.width:<4}{name:<26}{shown}{seconds:>10.1f} s", flush=True)
    return found


def measure_scale(images: int) -> dict[str, float]:
    """Choose from one class of this size, in this process; return seconds and peak memory.

    The lower bound of each group is part of the work.
    """
    features = synthetic_class(images, SCALE_WIDTH, seed=0).features
    start = time.perf_counter()
    chosen = through_groups(features, round(SHARE * images), SCALE_MOST, bound=True)
    seconds = time.perf_counter() - start
    return {
        "images": images,
        "chosen": len(chosen),
        "seconds": seconds,
        "peak_memory_gb": peak_memory() / 1e9,
    }


def scale(sizes: tuple[int, ...]) -> dict[str, float]:
    """Measure each size in a process of its own; return the figures and the slope of the time."""
    found: dict[str, float] = {}
    seconds = []
    for images in sizes:
        command = [sys.executable, "-m", "benchmarks.groups", "--only", str(images)]
        run = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(run.stdout.splitlines()[-1])
        seconds.append(figures["seconds"])
        print(f"{images:>8} images: {figures['seconds']:.0f} s, {figures['peak_memory_gb']:.2f} GB")
        for name in ("seconds", "peak_memory_gb"):
            found[f"{name}_{images}"] = figures[name]
    ratio = np.log(seconds[-1] / seconds[0]) / np.log(sizes[-1] / sizes[0])
    return found | {"slope": float(ratio)}


def compare_all(cases: tuple[Case, ...]) -> dict[str, float]:
    """Return the figures of all classes."""
    print(f"{'class':<14}{'choice':<26}{'transport':>12}{'statistics':>12}{'whole':>12}")
    found = {}
    for case in cases:
        for name, value in compare(case).items():
            key = f"{case.images}x{case.width}_{name}"
            found[key.replace(",", "").replace(" ", "_")] = value
    return found


def bounds_of(figures: dict[str, float]) -> dict[str, dict[str, float]]:
    """Return what is asked of the figures."""
    bounds = {}
    for name in figures:
        if name.endswith((f"groups_of_{SCALE_MOST}", f"groups_of_{SCALE_MOST}_polished")):
            bounds[name] = {"at_most": WITHIN}
        elif name.startswith("peak"):
            bounds[name] = {"at_most": MOST_GB}
    if f"seconds_{SCALE[-1]}" in figures:
        bounds["slope"] = {"at_most": MOST_SLOPE}
    return bounds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small classes")
    parser.add_argument("--only", type=int, help="time and memory of one class of so many images")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.only is not None:
        print(json.dumps(measure_scale(args.only)))
        return
    figures = compare_all(QUICK if args.quick else FULL)
    figures |= scale(QUICK_SCALE if args.quick else SCALE)
    if not finish("groups", figures, bounds_of(figures)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
