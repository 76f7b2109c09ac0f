"""Metrics of 50,000 samples from cached features, and torch-fidelity on 20,000 in the same run.

`python -m benchmarks.evaluation [--quick]`
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from benchmarks.harness import finish
from benchmarks.synthetic import pooled_features
from otcondense.evaluation.frechet import feature_statistics, frechet_distance_of_statistics
from otcondense.evaluation.manifold import density_coverage, precision_recall
from otcondense.machine import peak_memory

IMAGES = 50_000
YARDSTICK_IMAGES = 20_000
"""Images of the comparison with torch-fidelity."""
WIDTH = 2048
QUICK = 10
"""Divides both numbers of images."""
QUICK_ROUNDS = 3
"""Both sides are timed so often in turn at the quick size: single times of a second are noise."""


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the time of one call and its result."""
    started = time.perf_counter()
    found = function()
    return time.perf_counter() - started, found


def shortest(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    """Return the shorter time of each figure."""
    return {name: min(value, before.get(name, value)) for name, value in now.items()}


def ours(samples: Tensor, held_out: Tensor, name: str) -> tuple[dict[str, float], dict[str, float]]:
    """Return seconds and values of our functions."""
    taken: dict[str, float] = {}
    values: dict[str, float] = {}
    taken[f"fid_seconds_{name}"], values["fid"] = seconds(
        lambda: frechet_distance_of_statistics(
            feature_statistics(samples, "samples"), feature_statistics(held_out, "held out")
        )
    )
    taken[f"precision_recall_seconds_{name}"], found = seconds(
        lambda: precision_recall(samples, held_out, 3)
    )
    values |= found._asdict()
    taken[f"density_coverage_seconds_{name}"], _ = seconds(
        lambda: density_coverage(samples, held_out, 3)
    )
    return taken, values


def theirs(samples: Tensor, held_out: Tensor) -> tuple[dict[str, float], dict[str, float]]:
    """Return seconds and values of torch-fidelity's functions, with its option to save memory."""
    taken: dict[str, float] = {}
    values: dict[str, float] = {}
    taken["torch_fidelity_fid_seconds"], found = seconds(
        lambda: fid_statistics_to_metric(
            fid_features_to_statistics(samples), fid_features_to_statistics(held_out), verbose=False
        )
    )
    values["fid"] = found["frechet_inception_distance"]
    arguments = {
        "prc_neighborhood": 3,
        "prc_batch_size": 2000,
        "save_cpu_ram": True,
        "verbose": False,
    }
    taken["torch_fidelity_precision_recall_seconds"], found = seconds(
        lambda: prc_features_to_metric(samples, held_out, **arguments)
    )
    return taken, values | {name: found[name] for name in ("precision", "recall")}


def main() -> None:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="under a minute, a tenth of the images"
    )
    shrink = QUICK if parser.parse_args().quick else 1
    torch.set_num_threads(2)
    count = IMAGES // shrink
    few = YARDSTICK_IMAGES // shrink
    samples = pooled_features(count, WIDTH, 1)
    held_out = pooled_features(count, WIDTH, 2)
    figures, _ = ours(samples, held_out, "50k")
    figures["peak_memory_gb"] = peak_memory() / 1e9
    samples = samples[:few].clone()
    held_out = held_out[:few].clone()
    our_times: dict[str, float] = {}
    their_times: dict[str, float] = {}
    for _ in range(1 if shrink == 1 else QUICK_ROUNDS):
        taken, our_values = ours(samples, held_out, "20k")
        our_times = shortest(our_times, taken)
        taken, their_values = theirs(samples, held_out)
        their_times = shortest(their_times, taken)
    figures |= our_times | their_times
    figures |= {
        f"{name}_difference": abs(our_values[name] - their_values[name]) for name in their_values
    }
    figures["fid_ratio"] = figures["torch_fidelity_fid_seconds"] / figures["fid_seconds_20k"]
    figures["precision_recall_ratio"] = (
        figures["torch_fidelity_precision_recall_seconds"] / figures["precision_recall_seconds_20k"]
    )
    for name, value in figures.items():
        print(f"{name:<42}{value:>12.4g}")
    bounds: dict[str, dict[str, float]] = {
        "fid_seconds_50k": {"at_most": 60},
        "precision_recall_seconds_50k": {"at_most": 300},
        "peak_memory_gb": {"at_most": 4},
        "fid_difference": {"at_most": 1e-5 + 1e-6 * their_values["fid"]},
        "precision_recall_ratio": {"at_least": 1},
    }
    if not finish("evaluation", figures, bounds):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
