"""The selection engine on classes of a file of features, in seconds of CPU with one thread.

A part of `python -m benchmarks.selection --features FILE.npz`.
"""

import math
import time
from typing import Any

import numpy as np

from otcondense.selection import GeometryAwareSelector

SECONDS = {10: 0.5, 50: 4.0, 100: 8.0}
"""Upper limit on the seconds of a selection of 1,300 images, by budget."""
SECONDS_WITH_BOUND = {10: 1.5, 50: 6.0, 100: 10.0}
"""The same with the lower bound."""
NATURAL_SIZES = (112, 252, 732, 1000, 1300)
"""Sizes to which classes are cut; those above the size of a class are left out.

ImageNet's classes have 732 to 1,300 images.
"""
SMALL_BUDGET = 30
"""Budget of the small classes, which used to be the slow ones."""
SMALL_SECONDS = {112: 0.3, 252: 1.0}
"""Upper limit on the seconds of those, by size, with the lower bound."""
MEASURED_CLASSES = 3
"""Number of classes that are measured."""


def read_classes(path: str) -> dict[str, np.ndarray]:
    """Return the features of the first classes of a file, by their labels."""
    with np.load(path, allow_pickle=False) as arrays:
        features = arrays["features"]
        labels = arrays["labels"]
    names = np.unique(labels)[:MEASURED_CLASSES]
    return {str(name): features[labels == name] for name in names}


def cut(features: np.ndarray, size: int) -> np.ndarray:
    """Return `size` rows, evenly spread over the class."""
    rows = np.linspace(0, len(features) - 1, size).round().astype(int)
    part: np.ndarray = features[rows]
    return part


def cpu_seconds(features: np.ndarray, budget: int, **options: Any) -> tuple[float, Any]:
    """Return the seconds of CPU of a selection with one thread, and the selector."""
    selector = GeometryAwareSelector(budget, threads=1, **options)
    start = time.process_time()
    selector.fit(features)
    return time.process_time() - start, selector


def measure_features(path: str, budgets: tuple[int, ...]) -> dict[str, Any]:
    """Return the figures of a file of features: medians over its classes, and the largest gap."""
    classes = read_classes(path)
    cpu_seconds(next(iter(classes.values()))[:100], 2)
    figures: dict[str, Any] = {}
    for size in NATURAL_SIZES:
        parts = [cut(each, size) for each in classes.values() if len(each) >= size]
        for budget in (SMALL_BUDGET,) if size in SMALL_SECONDS else budgets:
            if parts:
                figures |= measure_size(parts, size, budget)
    return figures


def measure_size(parts: list[np.ndarray], size: int, budget: int) -> dict[str, Any]:
    """Return the figures of one size and budget."""
    runs = [
        (cpu_seconds(part, budget, lower_bound=None), cpu_seconds(part, budget)) for part in parts
    ]
    proven = [with_bound[1] for _, with_bound in runs]
    gaps = [100 * selector.diagnostics_.gap for selector in proven]
    found = {
        "cpu_seconds": float(np.median([plain[0] for plain, _ in runs])),
        "cpu_seconds_with_bound": float(np.median([with_bound[0] for _, with_bound in runs])),
        "proven": min(int(selector.swap_optimal_) for selector in proven),
        "gap_percent": float(np.median(gaps)),
        "largest_gap_percent": max(gaps),
        "exact_solves": float(np.median([each.diagnostics_.exact_solves for each in proven])),
        "rebuild_solves": float(np.median([each.diagnostics_.rebuild_solves for each in proven])),
    }
    print(size, budget, found, flush=True)
    return {f"{name}_n{size}_k{budget}": value for name, value in found.items()}


def limits_of_features(figures: dict[str, Any], budgets: tuple[int, ...]) -> dict[str, Any]:
    """Return the bounds on the figures of a file of features."""
    bounds: dict[str, Any] = {
        name: {"at_least": 1} for name in figures if name.startswith("proven_")
    }
    for size, seconds in SMALL_SECONDS.items():
        bounds[f"cpu_seconds_with_bound_n{size}_k{SMALL_BUDGET}"] = {"at_most": seconds}
    for budget in budgets:
        bounds[f"cpu_seconds_n1300_k{budget}"] = {"at_most": SECONDS.get(budget, math.inf)}
        seconds = SECONDS_WITH_BOUND.get(budget, math.inf)
        bounds[f"cpu_seconds_with_bound_n1300_k{budget}"] = {"at_most": seconds}
    return {name: bound for name, bound in bounds.items() if name in figures}
