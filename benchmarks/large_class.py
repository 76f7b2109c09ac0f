"""One large class: memory against its forecast, and the progress in a limited time.

`python -m benchmarks.large_class [--quick]`
"""

import argparse
import time
from dataclasses import dataclass

import torch

from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from otcondense.selection import GeometryAwareSelector
from otcondense.selection.forecast import forecast

BUDGET = 10
PROCESS_GB = 1.0
"""Memory of the process besides the class; torch alone takes 0.8 GB."""


@dataclass(frozen=True)
class Size:
    """Size of the class, and the limit on the search."""

    images: int
    width: int
    seconds: float


FULL = Size(20_000, 256, 400.0)
QUICK = Size(3000, 64, 30.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3,000 images in place of 20,000")
    args = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    size = QUICK if args.quick else FULL
    data = synthetic_class(size.images, size.width, seed=0)
    selector = GeometryAwareSelector(budget=BUDGET, lower_bound=None, max_seconds=size.seconds)

    start = time.perf_counter()
    selector.fit(data.features, cross_entropy=data.cross_entropy)
    expected = forecast(size.images, size.width, BUDGET)
    figures = {
        "images": size.images,
        "seconds": time.perf_counter() - start,
        "forecast_seconds": expected.seconds,
        "peak_memory_gb": selector.profile_["peak_memory_bytes"] / 1e9,
        "forecast_memory_gb": expected.memory_bytes / 1e9,
        "proven": int(selector.swap_optimal_),
    }
    for name, value in figures.items():
        print(f"{name:<20}{value:>12.2f}")

    bounds = {"peak_memory_gb": {"at_most": figures["forecast_memory_gb"] + PROCESS_GB}}
    if not finish("large_class", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
