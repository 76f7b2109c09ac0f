"""The published settings, by encoder."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    "inception": {
        "scale": "absolute",
        "epsilon": 12.0,
        "kappa": 1.05,
        "alpha": 6.0,
        "beta": 1200.0,
    },
    "googlenet": {"scale": "absolute", "epsilon": 12.0, "kappa": 1.05, "alpha": 6.0, "beta": 300.0},
    "resnet34": {"scale": "absolute", "epsilon": 20.0, "kappa": 1.05, "alpha": 6.0, "beta": 10.0},
    "resnet50": {"scale": "absolute", "epsilon": 20.0, "kappa": 1.05, "alpha": 6.0, "beta": 10.0},
}
"""Source: the settings shipped with the code of arXiv:2606.05883, for 10 images a class; none were published for larger budgets."""
