"""One large class: memory against its forecast, and how far a limited time gets.

`python -m benchmarks.large_class [--quick]`
"""

import argparse
import time

import torch

from benchmarks.harness import finish
from benchmarks.synthetic import synthetic_class
from otcondense.selection import GeometryAwareSelector
from otcondense.selection.forecast import forecast

BUDGET = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="3,000 images in place of 20,000")
    args = parser.parse_args()
    torch.set_num_threads(min(2, torch.get_num_threads()))
    images, width, limit = (3000, 64, 30.0) if args.quick else (20_000, 256, 400.0)
    data = synthetic_class(images, width, seed=0)
    selector = GeometryAwareSelector(budget=BUDGET, lower_bound=None, max_seconds=limit)
    start = time.perf_counter()
    selector.fit(data.features, cross_entropy=data.cross_entropy)
    expected = forecast(images, width, BUDGET)
    figures = {
        "images": images,
        "seconds": time.perf_counter() - start,
        "forecast_seconds": expected.seconds,
        "peak_memory_gb": selector.profile_["peak_memory_bytes"] / 1e9,
        "forecast_memory_gb": expected.memory_bytes / 1e9,
        "proven": int(selector.swap_optimal_),
    }
    for name, value in figures.items():
        print(f"{name:<20}{value:>12.2f}")
    # The peak is the process's, torch's 0.8 GB and all.
    raise SystemExit(
        0
        if finish(
            "large_class",
            figures,
            {"peak_memory_gb": {"at_most": figures["forecast_memory_gb"] + 1.0}},
        )
        else 1
    )


if __name__ == "__main__":
    main()
