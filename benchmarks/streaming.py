"""A subset of a stream against the choice from all images at once.

`python -m benchmarks.streaming [--quick] [--reservoir 400]`

The classes of made-up features and of scikit-learn's digits (64 pixels) arrive in four orders, in
batches of 100. Every subset is measured on the whole class by the same objective, with the epsilon
of the whole class, and by the coverage of the class (k = 5). Yardsticks are the choice from the
whole class, the choice from the stream's own reservoir alone, and uniform draws of the same size
(mean of ten). Then time for each image and peak memory, after n and after ten times n images.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.harness import finish
from benchmarks.memory import Peak
from benchmarks.synthetic import synthetic_class
from otcondense.evaluation import density_coverage
from otcondense.ot.cost import median_cost
from otcondense.selection import GeometryAwareSelector
from otcondense.streaming import StreamSelector
from otcondense.streaming.moments import Moments
from otcondense.streaming.rows import StreamRows
from otcondense.streaming.upper_bound import ObjectiveUnits, statistics_to, transport_to

BATCH = 100
BUDGETS = (0.01, 0.05)
"""Shares of the images."""
RESERVOIR = 400
"""Images of each sample: fewer than any set here has, so that something is forgotten."""
BLOCK = 200
DRAWS = 10
KAPPA, EPSILON = 1.05, 0.05
NEIGHBOURS = 5
WIDE = 256
"""Columns of the stream whose time and memory are measured."""
TRUE_SHARE = 1.25
"""Most of the offline objective that a stream may reach."""


def orders(features: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return the orders of arrival."""
    distance = np.linalg.norm(features - features.mean(axis=0), axis=1)
    drawn = np.random.default_rng(0).permutation(len(features))
    return {
        "random": drawn,
        "by_class": np.argsort(labels, kind="stable"),
        "by_distance": np.argsort(distance, kind="stable"),
        "reversed": np.argsort(-distance, kind="stable"),
    }


class Judge:
    """Measures subsets on all images, whatever chose them."""

    def __init__(self, features: np.ndarray) -> None:
        self.features = features
        count = len(features)
        self.moments = Moments.of(StreamRows(features, np.arange(count), ("",) * count))
        rows = torch.from_numpy(features.astype(np.float64))
        cost = torch.cdist(rows, rows).square()
        self.units = ObjectiveUnits(EPSILON * median_cost(cost), KAPPA, 1.0)

    def objective(self, chosen: np.ndarray) -> float:
        """Return the objective of a subset on all images."""
        subset = self.features[chosen]
        transport = transport_to(subset, self.features, self.units)
        return transport + statistics_to(subset, self.moments)

    def coverage(self, chosen: np.ndarray) -> float:
        """Return the share of the images with a chosen one near it."""
        return density_coverage(self.features[chosen], self.features, NEIGHBOURS).coverage


def selector_of(budget: int, reservoir: int) -> StreamSelector:
    """Return a selector before its stream."""
    return StreamSelector(
        budget,
        reservoir=reservoir,
        check_rows=reservoir,
        block=min(BLOCK, reservoir),
        lower_bound=None,
    )


def streamed(
    features: np.ndarray, order: np.ndarray, budget: int, reservoir: int = RESERVOIR
) -> StreamSelector:
    """Return the selector after a stream."""
    selector = selector_of(budget, reservoir)
    for start in range(0, len(order), BATCH):
        selector.partial_fit(features[order[start : start + BATCH]])
    return selector


def from_reservoir(
    features: np.ndarray, order: np.ndarray, budget: int, reservoir: int = RESERVOIR
) -> np.ndarray:
    """Return the choice from a uniform sample of the size of the reservoir, made at the end."""
    drawn = np.random.default_rng(0).permutation(order)[:reservoir]
    found = GeometryAwareSelector(budget, rebuilds=0, lower_bound=None).fit(features[drawn])
    chosen: np.ndarray = drawn[found.indices_]
    return chosen


def compare(
    name: str, features: np.ndarray, labels: np.ndarray, reservoir: int
) -> dict[str, float]:
    """Return the figures of one set."""
    judge = Judge(features)
    figures: dict[str, float] = {}
    for share in BUDGETS:
        budget = round(share * len(features))
        offline = GeometryAwareSelector(budget, rebuilds=0, lower_bound=None).fit(features)
        best = judge.objective(offline.indices_)
        key = f"{name}_{share:.0%}".replace("%", "pct")
        generator = np.random.default_rng(1)
        drawn = [generator.choice(len(features), budget, replace=False) for _ in range(DRAWS)]
        figures |= measured(f"{key}_offline", judge, [offline.indices_], best)
        figures |= measured(f"{key}_draws", judge, drawn, best)
        sampled = from_reservoir(features, np.arange(len(features)), budget, reservoir)
        figures |= measured(f"{key}_sample", judge, [sampled], best)
        for order_name, order in orders(features, labels).items():
            selector = streamed(features, order, budget, reservoir)
            chosen = order[selector.indices_]
            figures |= measured(f"{key}_{order_name}", judge, [chosen], best)
    return figures


def measured(name: str, judge: Judge, subsets: list[np.ndarray], best: float) -> dict[str, float]:
    """Return the mean objective, as a multiple of the offline one, and the mean coverage."""
    objective = np.mean([judge.objective(each) for each in subsets])
    coverage = np.mean([judge.coverage(each) for each in subsets])
    print(f"{name:<36}{objective / best:>8.3f}{coverage:>8.3f}", flush=True)
    return {f"{name}_objective": float(objective / best), f"{name}_coverage": float(coverage)}


def long_stream(images: int, budget: int, reservoir: int) -> dict[str, float]:
    """Return time and memory after a stream and after one ten times as long."""
    figures = {}
    selector = selector_of(budget, reservoir)
    generator = np.random.default_rng(0)
    for name, count in (("n", images), ("10n", 10 * images)):
        started = time.process_time()
        with Peak() as peak:
            while selector.seen_ < count:
                selector.partial_fit(generator.normal(size=(BATCH, WIDE)))
        seconds = (time.process_time() - started) / (count - (images if name == "10n" else 0))
        figures[f"milliseconds_an_image_{name}"] = 1000 * seconds
        figures[f"mebibytes_{name}"] = peak.mebibytes
        print(f"{name:<36}{1000 * seconds:>8.3f} ms{peak.mebibytes:>8.0f} MiB", flush=True)
    figures["memory_ratio"] = figures["mebibytes_10n"] / figures["mebibytes_n"]
    return figures


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels and the classes of the digits."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return found.data.astype(np.float32), found.target


def made_up(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return made-up features of groups, and the nearest of ten of them as class."""
    features = synthetic_class(images, 64, seed=0, outliers=0).features.astype(np.float32)
    return features, np.abs(features - features.mean(axis=0)).argmax(axis=1) % 10


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer images")
    parser.add_argument("--reservoir", type=int, default=RESERVOIR, help="images [%(default)s]")
    options = parser.parse_args()
    size = 600 if options.quick else 2000
    sets: dict[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
        "made_up": lambda: made_up(size),
        "digits": digits,
    }
    figures: dict[str, float] = {}
    print(f"{'':<36}{'objective':>9}{'coverage':>9}")
    for name, make in sets.items():
        features, labels = make()
        kept = slice(None, size)
        figures |= compare(name, features[kept], labels[kept], options.reservoir)
    figures |= long_stream(400 if options.quick else 2000, 10, options.reservoir)
    objectives = [
        value
        for name, value in figures.items()
        if name.endswith("_objective") and "_draws" not in name and "_sample" not in name
    ]
    figures["worst_objective"] = max(objectives)
    bounds = {"worst_objective": {"at_most": TRUE_SHARE}, "memory_ratio": {"at_most": 1.1}}
    if not finish("streaming", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
