"""The published parameters, by encoder."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preset:
    """Parameters for one encoder, in its own absolute units."""

    epsilon: float
    beta: float
    kappa: float = 1.05
    alpha: float = 6.0
    scale: Literal["absolute"] = "absolute"


PRESETS: dict[str, Preset] = {
    "inception": Preset(epsilon=12.0, beta=1200.0),
    "googlenet": Preset(epsilon=12.0, beta=300.0),
    "resnet34": Preset(epsilon=20.0, beta=10.0),
    "resnet50": Preset(epsilon=20.0, beta=10.0),
}
"""Presets for 10 images per class; none were published for larger budgets.

Source: the settings shipped with the code of arXiv:2606.05883.
"""
