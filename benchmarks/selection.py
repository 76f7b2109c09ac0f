"""Speed and quality of the selection engine against a plain version of the authors' evaluation.

`python -m benchmarks.selection [--quick] [--budgets 10,50,100] [--features FILE.npz]`

With `--features`, it measures classes of that file instead of made-up ones, at natural sizes, in
seconds of CPU with one thread: `features` [n, d] and `labels` [n].
"""

import argparse
import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from benchmarks.harness import finish
from benchmarks.selection_features import (
    SECONDS,
    SECONDS_WITH_BOUND,
    limits_of_features,
    measure_features,
)
from benchmarks.synthetic import SyntheticClass, synthetic_class
from otcondense.ot import PartialProblem
from otcondense.ot.exact import linear_value
from otcondense.selection import GeometryAwareSelector
from otcondense.selection.authors import AuthorsResult, authors_evaluate_sets, authors_select
from otcondense.selection.authors_config import AuthorsSettings

RATIOS = {10: 1000.0, 50: 2000.0, 100: 2000.0}
"""Lower limit on the ratio of the yardstick's time to ours, by budget."""
REPEATS = 3
"""Number of timed selections; their median is reported."""
FIRST_QUALITY_SEED = 1000
"""First seed of the quality comparison: rebuilds were designed on seeds from 0 and from 2000."""
SET_VALUES = 1 << 27
"""Values in a batch of candidate sets of the yardstick (512 MB)."""
MOST_SETS = 256
"""The authors' batch of candidate sets; smaller where memory requires it."""


@dataclass(frozen=True)
class Size:
    """How much to measure."""

    images: int
    width: int
    budgets: tuple[int, ...]
    quality_classes: int
    max_passes: int


@dataclass(frozen=True)
class Ours:
    """One of our selections: timed without the lower bound, then certified with it."""

    selector: GeometryAwareSelector
    seconds: float
    peak_memory_gb: float
    """Peak memory of the process, including torch.

    It only grows: only the first selections of a process show the need of a selection.
    """
    lower_bound_seconds: float = 0.0
    peak_memory_with_bound_gb: float = 0.0


def our_selection(data: SyntheticClass, budget: int, **options: Any) -> Ours:
    """Select and time it."""
    selector = GeometryAwareSelector(budget=budget, **options)
    start = time.perf_counter()
    selector.fit(data.features, cross_entropy=data.cross_entropy)
    return Ours(selector, time.perf_counter() - start, selector.profile_["peak_memory_bytes"] / 1e9)


def our_selections(data: SyntheticClass, budgets: tuple[int, ...]) -> dict[int, Ours]:
    """Select for every budget, first without lower bounds, then with them.

    The order matters, since the peak of memory can only grow. The seconds are the median of a few
    repeats.
    """
    plain = {}
    for budget in budgets:
        repeats = [our_selection(data, budget, lower_bound=None) for _ in range(REPEATS)]
        plain[budget] = sorted(repeats, key=lambda ours: ours.seconds)[REPEATS // 2]

    found = {}
    for budget in budgets:
        certified = our_selection(data, budget)
        assert certified.selector.indices_.tolist() == plain[budget].selector.indices_.tolist()
        found[budget] = Ours(
            certified.selector,
            plain[budget].seconds,
            plain[budget].peak_memory_gb,
            certified.selector.profile_["lower_bound_s"],
            certified.peak_memory_gb,
        )
    return found


def authors_settings(
    selector: GeometryAwareSelector, budget: int, max_swaps: int
) -> AuthorsSettings:
    """Return the same problem in the authors' absolute units."""
    used = selector.diagnostics_
    return AuthorsSettings(
        budget=budget,
        epsilon=used.epsilon,
        kappa=selector.config.kappa,
        alpha=used.alpha,
        beta=used.beta,
        max_swaps=max_swaps,
    )


def authors_subset(data: SyntheticClass, settings: AuthorsSettings) -> AuthorsResult:
    """Choose as the authors' code does."""
    features = torch.from_numpy(data.features).float()
    entropy = torch.from_numpy(data.cross_entropy).float()
    return authors_select(features, entropy, settings)


def seconds_per_set(data: SyntheticClass, size: int, settings: AuthorsSettings) -> float:
    """Time the plain evaluation of a few candidate sets of one size."""
    features = torch.from_numpy(data.features).float()
    entropy = torch.from_numpy(data.cross_entropy).float()
    count = max(2, min(MOST_SETS, SET_VALUES // features.numel()))
    generator = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(features), generator=generator) for _ in range(count)]
    sets = torch.stack(orders)[:, :size]
    authors_evaluate_sets(features, entropy, sets[:1], settings)
    start = time.perf_counter()
    authors_evaluate_sets(features, entropy, sets, settings)
    return (time.perf_counter() - start) / count


def set_seconds(data: SyntheticClass, ours: Ours) -> dict[int, float]:
    """Time a candidate set of 1, half the budget and the whole budget."""
    budget = len(ours.selector.indices_)
    settings = authors_settings(ours.selector, budget, 0)
    sizes = sorted({1, max(1, budget // 2), budget})
    return {size: seconds_per_set(data, size, settings) for size in sizes}


def yardstick(
    images: int, budget: int, seconds: dict[int, float], passes: int
) -> tuple[float, str]:
    """Extrapolate the time of a candidate set to the authors' greedy and swap passes.

    Sizes in between are interpolated.

    Returns: the seconds, and how they are composed.
    """
    sizes = list(seconds)
    times = list(seconds.values())
    greedy = sum((images - k + 1) * float(np.interp(k, sizes, times)) for k in range(1, budget + 1))
    sets = budget * (images - budget)
    total = greedy + passes * sets * times[-1]
    parts = (
        f"greedy {greedy:.0f} s + {passes} passes x {sets} sets x {times[-1] * 1e3:.2f} ms = "
        f"{total:.0f} s"
    )
    return total, parts


def exact_lp(data: SyntheticClass, indices: list[int], kappa: float) -> float:
    """Return the linear-program value of a subset at equal weights."""
    rows = torch.from_numpy(data.features)
    rows = rows - rows.mean(dim=0)
    return linear_value(PartialProblem(torch.cdist(rows[indices], rows).square(), 1.0, kappa))


def measure_budget(
    data: SyntheticClass, ours: Ours, seconds: dict[int, float], size: Size
) -> dict[str, Any]:
    """Return all figures of one budget."""
    selector = ours.selector
    budget = len(selector.indices_)
    found = selector.diagnostics_
    assert found.gap is not None
    assert found.passes is not None

    settings = authors_settings(selector, budget, size.max_passes)
    theirs = authors_subset(data, settings)
    swaps = sum(step.stage == "swap" for step in theirs.history)
    passes = min(settings.max_swaps, swaps + 1)
    total, parts = yardstick(size.images, budget, seconds, passes)
    brute = budget * (size.images - budget) * max(1, found.passes)
    print(
        f"K={budget}: {ours.seconds:.2f} s, bound {ours.lower_bound_seconds:.2f} s, "
        f"gap {100 * found.gap:.2f} %, yardstick: {parts}"
    )
    return {
        "seconds": ours.seconds,
        "lower_bound_seconds": ours.lower_bound_seconds,
        "seconds_with_bound": ours.seconds + ours.lower_bound_seconds,
        "peak_memory_gb": ours.peak_memory_gb,
        "peak_memory_with_bound_gb": ours.peak_memory_with_bound_gb,
        "proven": int(selector.swap_optimal_),
        "gap_percent": 100 * found.gap,
        "exact_solves": found.exact_solves,
        "brute_force_solves": brute,
        "lp_value_ours": found.lp_value,
        "lp_value_authors": exact_lp(data, theirs.indices, selector.config.kappa),
        "objective_ours": selector.objective_,
        "objective_authors": converged_objective(data, theirs.indices),
        "authors_passes": passes,
        "yardstick_seconds": total,
        "times_faster": total / ours.seconds,
    }


def converged_objective(data: SyntheticClass, indices: list[int]) -> float:
    """Return the default converged objective of a given subset: all its images are forced."""
    fixed = GeometryAwareSelector(budget=len(indices), include=tuple(indices), lower_bound=None)
    return fixed.fit(data.features, cross_entropy=data.cross_entropy).objective_


def quality(size: Size) -> dict[str, float]:
    """Compare with the authors' subset under the same converged objective.

    Half of the classes have outliers.
    """
    not_worse = 0
    proven = 0
    for seed in range(size.quality_classes):
        data = synthetic_class(
            300, 64, seed=FIRST_QUALITY_SEED + seed, outliers=0.05 if seed % 2 else 0.0
        )
        selector = our_selection(data, 10, lower_bound=None).selector
        settings = authors_settings(selector, 10, 30)
        other = converged_objective(data, authors_subset(data, settings).indices)
        error = selector.diagnostics_.certified_error
        assert error is not None
        not_worse += selector.objective_ <= other + error
        proven += selector.swap_optimal_
    print(
        f"quality: not worse than the authors' subset in {not_worse} of {size.quality_classes} "
        f"classes, proven swap-optimal in {proven}"
    )
    return {
        "quality_not_worse_share": not_worse / size.quality_classes,
        "quality_proven_share": proven / size.quality_classes,
    }


def arguments() -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a small class and few repeats, under a minute on two cores",
    )
    parser.add_argument("--budgets", default="10,50,100", help="numbers of images to choose")
    parser.add_argument(
        "--max-passes",
        type=int,
        default=30,
        help="largest number of passes of the authors' swap stage; 30 is theirs, and takes minutes",
    )
    parser.add_argument("--features", help="an npz file with features and labels to measure")
    return parser.parse_args()


def measure_all(size: Size) -> dict[str, Any]:
    """Return all figures of the CPU."""
    data = synthetic_class(size.images, size.width, seed=0)
    our_selection(synthetic_class(100, 8, seed=0), 2)
    ours = our_selections(data, size.budgets)
    seconds = {budget: set_seconds(data, ours[budget]) for budget in size.budgets}
    print("timing is done; the rest only counts and compares", flush=True)

    figures: dict[str, Any] = {"images": size.images, "width": size.width}
    for budget in size.budgets:
        found = measure_budget(data, ours[budget], seconds[budget], size)
        figures |= {f"{name}_k{budget}": value for name, value in found.items()}
    return figures | quality(size)


def limits(size: Size, *, quick: bool) -> dict[str, dict[str, float]]:
    """Return the bounds on the figures; a quick run has none on time."""
    bounds: dict[str, dict[str, float]] = {
        "quality_not_worse_share": {"at_least": 0.95},
        "quality_proven_share": {"at_least": 1.0},
    }
    for budget in size.budgets:
        bounds[f"proven_k{budget}"] = {"at_least": 1}
        bounds[f"peak_memory_gb_k{budget}"] = {"at_most": 1.0}
        if quick:
            continue
        bounds[f"seconds_k{budget}"] = {"at_most": SECONDS.get(budget, math.inf)}
        seconds = SECONDS_WITH_BOUND.get(budget, math.inf)
        bounds[f"seconds_with_bound_k{budget}"] = {"at_most": seconds}
        bounds[f"times_faster_k{budget}"] = {"at_least": RATIOS.get(budget, 0.0)}
    return bounds


def main() -> None:
    args = arguments()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    budgets = tuple(int(value) for value in args.budgets.split(","))
    if args.features:
        torch.set_num_threads(1)
        figures = measure_features(args.features, budgets)
        if not finish("selection_of_features", figures, limits_of_features(figures, budgets)):
            raise SystemExit(1)
        return

    size = Size(1300, 2048, budgets, 40, args.max_passes)
    if args.quick:
        size = Size(400, 256, (10,), 4, 3)

    figures = measure_all(size)
    if not finish("selection", figures, limits(size, quick=args.quick)):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
