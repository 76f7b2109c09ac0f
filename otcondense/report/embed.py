"""Figures in a page: JSON that is safe inside a script element, and a description in words."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otcondense.report.data import FeatureMap, LossCurve, ObjectiveHistory
from otcondense.report.plots import feature_map, loss_curves, objective_history
from otcondense.selection.gap import gap
from otcondense.shares import gap_text

TWENTIETH = 20


@dataclass(frozen=True)
class Plot:
    """A figure in a page."""

    name: str
    figure: str
    """Plotly JSON, safe inside a script element."""
    height: int
    description: str
    """The figure in words, for screen readers and pages without JavaScript."""


def map_plot(data: FeatureMap, number: int, methods: Sequence[str], unit: str) -> Plot:
    """Return the map of a class or a group, whichever `unit` says."""
    chosen = ", ".join(f"{len(rows)} chosen by {method}" for method, rows in data.chosen.items())
    words = (
        f"The {len(data.features):,} images of {unit} {data.class_name} in the two main directions "
        f"of their features; {chosen}."
    )
    return embed(f"map-{number}", feature_map(data, methods), words)


def history_plot(data: ObjectiveHistory, number: int, methods: Sequence[str], unit: str) -> Plot:
    """Return the objective of a class or a group, whichever `unit` says, after each step."""
    final = float(data.objective[-1])
    bound = ""
    if data.bound is not None:
        share = gap(final, data.bound)
        words = f" (gap {gap_text(share)})" if math.isfinite(share) else ""
        bound = f" Proven: no subset of this size is below {data.bound:.5g}{words}."
    words = (
        f"{unit.capitalize()} {data.class_name}, {data.method}: the objective ends at "
        f"{final:.5g} after {len(data.objective)} steps.{bound}"
    )
    return embed(f"history-{number}", objective_history(data, methods), words)


def loss_plots(curves: Sequence[LossCurve], methods: Sequence[str]) -> dict[str, Plot]:
    """Return the training losses, one figure for each model."""
    plots = {}
    for number, model in enumerate(dict.fromkeys(curve.model for curve in curves)):
        own = [curve for curve in curves if curve.model == model]
        ends = ", ".join(f"{curve.method} {_final_loss(curve):.4g}" for curve in own)
        words = f"Training loss of {model}; mean of the last twentieth: {ends}."
        plots[model] = embed(f"loss-{number}", loss_curves(own, methods), words)
    return plots


def _final_loss(curve: LossCurve) -> float:
    """Return the mean of the last twentieth of a curve."""
    count = max(1, len(curve.loss) // TWENTIETH)
    return float(curve.loss[-count:].mean())


def embed(name: str, figure: Any, description: str) -> Plot:
    """Return a figure under a name that is unique in its page; equal figures give equal bytes."""
    text = json.dumps(json.loads(figure.to_json()), sort_keys=True, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Plot(f"plot-{name}", safe, int(figure.layout.height), description)
