"""Figures of metrics over several seeds: means, confidence intervals, and every seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from otcondense.evaluation.registry import ANY, Bounds
from otcondense.report.plots import base_figure, keep_within, label, rounded, style_of

AXIS_HEIGHT = 70
"""Pixels of the axis of `seed_dots`."""
ROW_HEIGHT = 26
"""Pixels of each row of `seed_dots`."""


@dataclass(frozen=True)
class Spread:
    """A metric of one method over several seeds, at one training length."""

    method: str
    steps: int
    mean: float
    half_width: float | None
    """Half the width of the confidence interval; None for a single seed."""
    values: tuple[float, ...]
    """One for each seed."""

    def low(self, bounds: Bounds) -> float:
        """Return the lower end of the interval, within the bounds of the metric."""
        return max(bounds[0], self.mean - (self.half_width or 0.0))

    def high(self, bounds: Bounds) -> float:
        """Return the upper end of the interval, within the bounds of the metric."""
        return min(bounds[1], self.mean + (self.half_width or 0.0))


def interval_curves(
    spreads: Sequence[Spread], title: str, methods: Sequence[str], bounds: Bounds = ANY
) -> go.Figure:
    """Draw means over the training length, one line for each method, and confidence intervals.

    Intervals and axis stay within `bounds`, the least and greatest possible value.
    """
    figure = base_figure(title, "training steps", height=300)
    keep_within(figure.layout.yaxis, bounds)
    lengths = sorted({each.steps for each in spreads})
    for method in methods:
        of_method = [each for each in spreads if each.method == method]
        own = sorted(of_method, key=lambda each: each.steps)
        if own:
            bars = {
                "type": "data",
                "symmetric": False,
                "array": rounded(each.high(bounds) - each.mean for each in own),
                "arrayminus": rounded(each.mean - each.low(bounds) for each in own),
                "thickness": 1.2,
                "width": 4,
            }
            means = [each.mean for each in own]
            figure.add_scatter(
                x=[lengths.index(each.steps) for each in own],
                y=rounded(means),
                error_y=bars,
                mode="lines+markers",
                **style_of(method, methods, size=8),
                showlegend=False,
            )
    figure.update_traces(cliponaxis=False)
    return figure.update_xaxes(
        tickvals=list(range(len(lengths))), ticktext=[f"{each:,}" for each in lengths]
    )


def seed_dots(
    spreads: Sequence[Spread], title: str, methods: Sequence[str], bounds: Bounds = ANY
) -> go.Figure:
    """Draw one row for each method, in order: a dot for each seed and a line for the interval.

    Intervals and axis stay within `bounds`, the least and greatest possible value.
    """
    figure = base_figure("", title, height=AXIS_HEIGHT + ROW_HEIGHT * len(spreads))
    keep_within(figure.layout.xaxis, bounds)
    for row, each in enumerate(spreads):
        style = style_of(each.method, methods, size=8)
        figure.add_scatter(
            x=rounded([each.low(bounds), each.mean, each.high(bounds)]),
            y=[row] * 3,
            mode="lines",
            line={"color": style["line"]["color"], "width": 1.5},
            hoverinfo="skip",
            showlegend=False,
        )
        figure.add_scatter(
            x=rounded(each.values),
            y=[row] * len(each.values),
            mode="markers",
            **style,
            showlegend=False,
            opacity=0.8,
        )
    figure.update_traces(cliponaxis=False)
    names = [label(each.method) for each in spreads]
    return figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5]
    )
