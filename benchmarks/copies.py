"""Copies in a class: the choices that they take, and the time to find them.

`python -m benchmarks.copies [--quick]`

The time is compared, in the same run, with one product of the features with themselves in float32:
a search that compares all pairs takes at least that, and what it does with the result.
"""

import argparse
import time

import numpy as np

from actors.class_selection import run_selector
from actors.reduced_class import CopyRules, DuplicatePolicy
from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from otcondense.selection.copies import find_copies
from otcondense.store import ClassFeatures

SHARE = 0.2
WIDTH = 2048
NOISE = 0.1
"""Noise of a near copy, as a share of that of the class."""
POLICIES: tuple[DuplicatePolicy, ...] = ("keep", "merge", "drop")


def with_copies(images: int, width: int) -> np.ndarray:
    """Return a class whose last quarter are near copies of its first image."""
    features = synthetic_class(images, width, seed=0, outliers=0).features.astype(np.float32)
    copies = images // 4
    noise = np.random.default_rng(1).normal(size=(copies, width)) * features.std(axis=0)
    features[-copies:] = features[0] + NOISE * noise
    return features


def cpu_seconds(features: np.ndarray) -> float:
    """Return the CPU time to find the copies, which must be found."""
    ids = [f"{row:06}" for row in range(len(features))]
    started = time.process_time()
    found = find_copies(features, ids, ids, SHARE)
    seconds = time.process_time() - started
    assert len(found.copies) == len(features) // 4
    return seconds


def product_seconds(features: np.ndarray) -> float:
    """Return the CPU time of all inner products of the features."""
    started = time.process_time()
    features @ features.T
    return time.process_time() - started


def taken(features: np.ndarray, policy: DuplicatePolicy) -> int:
    """Return how many of ten choices are the image or its copies."""
    ids = [f"{row:06}" for row in range(len(features))]
    ones = np.ones(len(ids), dtype=np.int32)
    each = ClassFeatures("c", 0, ids, features, None, None, None, None, ones, ones, ids)
    settings = {"budget": 10, "seed": 0, "lower_bound": None}
    rules = CopyRules(policy, SHARE)
    chosen = run_selector("geometry_aware", settings, each, rules=rules).indices
    return int(((chosen == 0) | (chosen >= len(features) - len(features) // 4)).sum())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="5,000 images in place of 20,000")
    args = parser.parse_args()
    figures: dict[str, float] = {}
    for policy in POLICIES:
        figures[f"choices_taken_{policy}"] = taken(with_copies(400, 64), policy)
    for images in (1300, 5000 if args.quick else 20_000):
        features = with_copies(images, WIDTH)
        cpu_seconds(features)
        figures[f"seconds_{images}"] = min(cpu_seconds(features) for _ in range(3))
        product = min(product_seconds(features) for _ in range(3))
        figures[f"product_ratio_{images}"] = figures[f"seconds_{images}"] / product
    for name, value in figures.items():
        print(f"{name:<24}{value:>12.3f}")
    bounds = {
        "choices_taken_merge": {"at_most": 1.0},
        "product_ratio_1300": {"at_most": 4.0},
    }
    if not finish("copies", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
