"""Seconds of the metrics of 50,000 samples with 2,048 features each, on the device.

Values are compared with those of the CPU on a part of the images.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from benchmarks.gpu_all.cases import Case, Figures, Held, Setting, once
from benchmarks.synthetic import pooled_features
from otcondense.evaluation import (
    density_coverage,
    frechet_distance,
    kernel_distance,
    precision_recall,
)

IMAGES = 50_000
WIDTH = 2048
CHECKED = 3_000
"""Images whose values are compared with those of the CPU."""
METRICS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "frechet": frechet_distance,
    "precision_recall": precision_recall,
    "kernel": kernel_distance,
    "density_coverage": density_coverage,
}
"""The project's own functions."""


def features(setting: Setting, seed: int) -> Tensor:
    """Return features on the device."""
    return pooled_features(setting.size(IMAGES, 64), setting.size(WIDTH, 32), seed).to(
        setting.device
    )


def numbers(value: Any) -> list[float]:
    """Return the values of a metric."""
    return list(value) if isinstance(value, tuple) else [value]


def measured(setting: Setting, held: Held, metric: str) -> Figures:
    """Return the seconds of the first and the second call."""
    samples, held_out = held.get("features", lambda: (features(setting, 1), features(setting, 2)))
    function = METRICS[metric]
    first = once(setting, lambda: function(samples, held_out))
    return {"first_seconds": first, "seconds": once(setting, lambda: function(samples, held_out))}


def checked(setting: Setting, held: Held) -> Figures:
    """Return the relative differences of all metrics from those on the CPU."""
    pair = held.get("features", lambda: (features(setting, 1), features(setting, 2)))
    few = [side[: setting.size(CHECKED, 32)].contiguous() for side in pair]
    figures: Figures = {}
    for name, function in METRICS.items():
        found = numbers(function(few[0], few[1]))
        expected = numbers(function(few[0].cpu(), few[1].cpu()))
        differences = [
            abs(one - two) / max(abs(two), 1e-9) for one, two in zip(found, expected, strict=True)
        ]
        figures[f"{name}_difference"] = max(differences)
    return figures


def cases() -> list[Case]:
    """Return the cases."""
    held = Held()
    return [
        *(Case(name, 15, partial(measured, held=held, metric=name)) for name in METRICS),
        Case("difference_from_cpu", 15, partial(checked, held=held)),
    ]
