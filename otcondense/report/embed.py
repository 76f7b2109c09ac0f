"""Figures as they stand in a page: JSON that is safe inside a script element, and the same in words."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from otcondense.report.data import FeatureMap, LossCurve, ObjectiveHistory
from otcondense.report.plots import feature_map, loss_curves, objective_history


@dataclass(frozen=True)
class Plot:
    """A figure as it stands in the page."""

    name: str
    figure: str
    """Plotly JSON, safe inside a script element."""
    height: int
    description: str
    """What the figure shows, in words: for screen readers and where JavaScript is off."""


def map_plot(data: FeatureMap, number: int, methods: Sequence[str]) -> Plot:
    """Return the map of a class."""
    chosen = ", ".join(f"{len(rows)} chosen by {method}" for method, rows in data.chosen.items())
    words = f"The {len(data.features):,} images of class {data.class_name} in the two main directions of their features; {chosen}."
    return embed(f"map-{number}", feature_map(data, methods), words)


def history_plot(data: ObjectiveHistory, number: int, methods: Sequence[str]) -> Plot:
    """Return the objective of a class after each step."""
    final = float(data.objective[-1])
    bound = ""
    if data.bound is not None:
        gap = f" (gap {(final - data.bound) / abs(final):.1%})" if final else ""
        bound = f" Proven: no subset of this size is below {data.bound:.5g}{gap}."
    words = f"Class {data.class_name}, {data.method}: the objective ends at {final:.5g} after {len(data.objective)} steps.{bound}"
    return embed(f"history-{number}", objective_history(data, methods), words)


def loss_plots(curves: Sequence[LossCurve], methods: Sequence[str]) -> dict[str, Plot]:
    """Return the training losses, one figure for each model."""
    plots = {}
    for number, model in enumerate(dict.fromkeys(curve.model for curve in curves)):
        own = [curve for curve in curves if curve.model == model]
        ends = ", ".join(
            f"{curve.method} {float(curve.loss[-max(1, len(curve.loss) // 20) :].mean()):.4g}"
            for curve in own
        )
        plots[model] = embed(
            f"loss-{number}",
            loss_curves(own, methods),
            f"Training loss of {model}; mean of the last twentieth: {ends}.",
        )
    return plots


def embed(name: str, figure: Any, description: str) -> Plot:
    """Return a figure under a name that is unique in its page, the same bytes for the same figure."""
    text = json.dumps(json.loads(figure.to_json()), sort_keys=True, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Plot(f"plot-{name}", safe, int(figure.layout.height), description)
