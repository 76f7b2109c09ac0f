"""Plotly figures of a run, for the report and other pages.

They are transparent, have a colour for each method, and suit light and dark pages. Text and grid
colours come from the style sheet of the page; see `otcondense/report/style.css`.
"""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int

from otcondense.evaluation.registry import Bounds, Metric
from otcondense.report.data import FeatureMap, LossCurve, MetricRow, ObjectiveHistory
from otcondense.report.planes import principal_plane
from otcondense.shares import percent

COLOURS = (
    "#3b7dea",
    "#e5773a",
    "#1f9d74",
    "#a066dd",
    "#d9538c",
    "#14a3b8",
    "#c1992a",
    "#7d8896",
    "#9a6a4f",
    "#6aa323",
)
"""Readable both on white and on near-black."""
SYMBOLS = (
    "circle",
    "diamond",
    "square",
    "triangle-up",
    "cross",
    "star",
    "x",
    "pentagon",
    "hexagon",
    "triangle-down",
)
DASHES = ("solid", "dash", "dot", "dashdot")
MUTED = "#8a94a3"
SMOOTHING = 0.05
"""Share of the points of a loss curve that its running mean spans."""


def colour_of(method: str, methods: Sequence[str]) -> str:
    """Return the colour of a method, the same in all figures of one report."""
    return COLOURS[methods.index(method) % len(COLOURS)]


def metric_curves(rows: Sequence[MetricRow], metric: Metric, methods: Sequence[str]) -> go.Figure:
    """Draw one metric over the training length, one line for each method.

    The copy share also gets its level without copying.
    """
    figure = base_figure(f"{metric.title} ({metric.phrase})", "training steps", height=250)
    present = sorted((row for row in rows if metric.name in row.values), key=_steps)
    for method in methods:
        own = [row for row in present if row.method == method]
        if own:
            values = [row.values[metric.name] for row in own]
            figure.add_scatter(
                x=[row.steps for row in own],
                y=rounded(values),
                mode="lines+markers",
                **style_of(method, methods, size=8),
                showlegend=False,
            )
    keep_within(figure.layout.yaxis, metric.bounds)
    if metric.name == "copy_share":
        line = {"color": MUTED, "width": 1, "dash": "dot"}
        figure.add_hline(y=metric.floor, line=line, annotation_text="no copying")

    figure.update_traces(cliponaxis=False)
    lengths = sorted({row.steps for row in rows})
    return figure.update_xaxes(tickvals=lengths, ticktext=[f"{each:,}" for each in lengths])


def _steps(row: MetricRow) -> int:
    return row.steps


def feature_map(data: FeatureMap, methods: Sequence[str]) -> go.Figure:
    """Draw the features of one class in two directions, with chosen and left-out images."""
    points, shares = principal_plane(data.features)
    figure = base_figure(
        "", f"first direction ({percent(shares[0], 0)} of the variance)", height=480
    )
    figure.update_yaxes(
        title_text=f"second direction ({percent(shares[1], 0)})",
        scaleanchor="x",
        constrain="domain",
    )
    figure.update_xaxes(constrain="domain")
    figure.add_scatter(
        x=rounded(points[:, 0]),
        y=rounded(points[:, 1]),
        mode="markers",
        name=f"all {len(points):,} images",
        marker={"color": MUTED, "size": 6, "opacity": 0.4},
        hoverinfo="skip",
    )
    for method, assignment in data.assignment.items():
        _spokes(figure, points, assignment, colour_of(method, methods), label(method))
    for method, rows in data.left_out.items():
        marker = {
            "symbol": "x-thin",
            "size": 8,
            "line": {"color": colour_of(method, methods), "width": 1.5},
        }
        _points(figure, points[rows], f"left out by {label(method)} ({len(rows)})", marker)
    for method, rows in data.chosen.items():
        marker = {
            **style_of(method, methods, size=12)["marker"],
            "line": {"color": "#ffffff", "width": 1.5},
        }
        _points(figure, points[rows], f"chosen by {label(method)} ({len(rows)})", marker)
    return figure


def objective_history(data: ObjectiveHistory, methods: Sequence[str]) -> go.Figure:
    """Draw the objective after each step, a line for each stage, and the proven lower bound."""
    figure = base_figure("", "step: an image is added or exchanged", height=280)
    figure.update_yaxes(title_text="objective, in units of the cost")
    style = style_of(data.method, methods, size=6)
    for number, stage in enumerate(dict.fromkeys(data.stages)):
        steps = [step for step, each in enumerate(data.stages) if each == stage]
        line = {**style["line"], "dash": DASHES[number % len(DASHES)]}
        symbol = {**style["marker"], "symbol": SYMBOLS[number % len(SYMBOLS)]}
        if steps[0] > 0:
            # Joined to the stage before.
            steps = [steps[0] - 1, *steps]
        values = rounded(data.objective[steps])
        figure.add_scatter(
            x=[step + 1 for step in steps],
            y=values,
            mode="lines+markers",
            name=label(stage),
            line=line,
            marker=symbol,
        )
    if data.bound is not None:
        ends = [1, max(2, len(data.objective))]
        figure.add_scatter(
            x=ends,
            y=rounded([data.bound] * 2),
            mode="lines",
            name="lower bound",
            line={"color": MUTED, "dash": "dash"},
        )
    return figure


def loss_curves(curves: Sequence[LossCurve], methods: Sequence[str]) -> go.Figure:
    """Draw training losses of one model: running means, the recorded values faint behind them."""
    figure = base_figure("", "training steps", height=300)
    figure.update_yaxes(title_text="loss, mean over a batch")
    for curve in curves:
        style = style_of(curve.method, methods, size=4)
        window = max(1, round(SMOOTHING * len(curve.loss)))
        steps = [int(step) for step in curve.steps]
        if window > 1:
            figure.add_scatter(
                x=steps,
                y=rounded(curve.loss),
                mode="lines",
                opacity=0.25,
                hoverinfo="skip",
                showlegend=False,
                line=style["line"],
            )
        figure.add_scatter(
            x=steps,
            y=rounded(running_mean(curve.loss, window)),
            mode="lines",
            name=label(curve.method),
            line=style["line"],
        )
    return figure


def running_mean(values: Float[np.ndarray, " t"], window: int) -> Float[np.ndarray, " t"]:
    """Average each value with up to `window` - 1 values before it."""
    sums = np.cumsum(np.concatenate([[0.0], np.asarray(values, dtype=np.float64)]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    means: Float[np.ndarray, " t"] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def label(text: str) -> str:
    """Return a name as a label of Plotly, which interprets HTML tags."""
    return html.escape(text, quote=False)


def _spokes(
    figure: go.Figure,
    points: Float[np.ndarray, "n 2"],
    assignment: Int[np.ndarray, " n"],
    colour: str,
    name: str,
) -> None:
    """Join every image to the chosen image that represents it."""
    rows = np.flatnonzero(assignment >= 0)
    # Each line is two points and a gap.
    ends = np.full((len(rows), 3, 2), np.nan)
    ends[:, 0] = points[rows]
    ends[:, 1] = points[assignment[rows]]
    figure.add_scatter(
        x=_with_gaps(ends[..., 0]),
        y=_with_gaps(ends[..., 1]),
        mode="lines",
        name=f"representation, {name}",
        line={"color": colour, "width": 0.6},
        opacity=0.5,
        hoverinfo="skip",
    )


def _with_gaps(values: Float[np.ndarray, "n 3"]) -> list[float | None]:
    """Return coordinates in a row, None for nan."""
    return [None if np.isnan(value) else value for value in rounded(values.ravel())]


def _points(
    figure: go.Figure, points: Float[np.ndarray, "n 2"], name: str, marker: Mapping[str, Any]
) -> None:
    figure.add_scatter(
        x=rounded(points[:, 0]), y=rounded(points[:, 1]), mode="markers", name=name, marker=marker
    )


def style_of(method: str, methods: Sequence[str], size: int) -> dict[str, Any]:
    """Return name, line and marker of a method, the same in all figures of one report."""
    colour = colour_of(method, methods)
    number = methods.index(method)
    # Colours repeat; the shift makes pairs of colour and symbol repeat much later.
    symbol = SYMBOLS[(number + number // len(COLOURS)) % len(SYMBOLS)]
    marker = {"color": colour, "symbol": symbol, "size": size}
    return {"name": label(method), "line": {"color": colour, "width": 2.2}, "marker": marker}


def base_figure(title: str, x_title: str, height: int) -> go.Figure:
    """Return an empty figure in the style of the report."""
    axis: dict[str, Any] = {
        "gridcolor": "rgba(128,138,153,0.22)",
        "linecolor": "rgba(128,138,153,0.5)",
        "zeroline": False,
        "automargin": True,
        "title": {"font": {"size": 12}, "standoff": 8},
    }
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "title": {"text": title, "x": 0, "xanchor": "left", "font": {"size": 14}},
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 36 if title else 12, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"size": 12, "color": MUTED},
            "hovermode": "closest",
            "hoverlabel": {"bgcolor": "#1d2430", "font": {"color": "#f3f5f8"}},
            "dragmode": False,
            "legend": {
                "orientation": "h",
                "y": 1.02,
                "x": 0,
                "yanchor": "bottom",
                "xanchor": "left",
            },
            "xaxis": {**axis, "title": {**axis["title"], "text": x_title}},
            "yaxis": axis,
        }
    )


def keep_within(axis: Any, bounds: Bounds) -> None:
    """Keep an axis that fits its values within the least and greatest possible value."""
    for name, bound in zip(("clipmin", "clipmax"), bounds, strict=True):
        if math.isfinite(bound):
            axis.update(autorangeoptions={name: bound})


def rounded(values: Any) -> list[float]:
    """Return plain numbers to 6 significant digits, for small files and reproducible bytes."""
    return [float(f"{float(value):.6g}") for value in values]
