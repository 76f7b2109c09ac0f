"""Plotly figures of a run, shared by the report and any other page: transparent, coloured by method, fit for light and dark.

Text and grid colours come from the page's style sheet; see `otcondense/report/style.css`.
"""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from scipy.sparse.linalg import svds

from otcondense.report.data import FeatureMap, LossCurve, MetricRow, ObjectiveHistory
from otcondense.report.tables import Metric

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
"""Readable on white and on near-black alike."""
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
SMALL = 32
"""Rows or columns up to which all singular values are computed."""
SMOOTHING = 0.05
"""Share of a loss curve's points that its running mean spans."""


def colour_of(method: str, methods: Sequence[str]) -> str:
    """Return a method's colour, the same in all figures of one report."""
    return COLOURS[methods.index(method) % len(COLOURS)]


def metric_curves(rows: Sequence[MetricRow], metric: Metric, methods: Sequence[str]) -> go.Figure:
    """Draw one figure over the training length, a line for each method; copy share gets its no-copying level 0.5."""
    figure = base_figure(f"{metric.label} ({metric.direction})", "training steps", height=250)
    for method in methods:
        points = sorted(
            (row.steps, row.values[metric.key])
            for row in rows
            if row.method == method and metric.key in row.values
        )
        if points:
            steps, values = zip(*points, strict=True)
            figure.add_scatter(
                x=list(steps),
                y=_rounded(values),
                mode="lines+markers",
                **_style(method, methods, size=8),
                showlegend=False,
            )
    if metric.key == "copy_share":
        figure.add_hline(
            y=0.5, line={"color": MUTED, "width": 1, "dash": "dot"}, annotation_text="no copying"
        )
    steps_seen = sorted({row.steps for row in rows})
    return figure.update_xaxes(tickvals=steps_seen, ticktext=[f"{each:,}" for each in steps_seen])


def feature_map(data: FeatureMap, methods: Sequence[str]) -> go.Figure:
    """Draw the features of one class in their two main directions, with each method's chosen and left-out images."""
    points, shares = principal_plane(data.features)
    figure = base_figure("", f"first direction ({shares[0]:.0%} of the variance)", height=480)
    figure.update_yaxes(
        title_text=f"second direction ({shares[1]:.0%})", scaleanchor="x", constrain="domain"
    )
    figure.update_xaxes(constrain="domain")
    figure.add_scatter(
        x=_rounded(points[:, 0]),
        y=_rounded(points[:, 1]),
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
            **_style(method, methods, size=12)["marker"],
            "line": {"color": "#ffffff", "width": 1.5},
        }
        _points(figure, points[rows], f"chosen by {label(method)} ({len(rows)})", marker)
    return figure


def objective_history(data: ObjectiveHistory, methods: Sequence[str]) -> go.Figure:
    """Draw the objective after each step, a line for each stage, and the proven lower bound."""
    figure = base_figure("", "step", height=280)
    figure.update_yaxes(title_text="objective")
    style = _style(data.method, methods, size=6)
    for number, stage in enumerate(dict.fromkeys(data.stages)):
        steps = [step for step, each in enumerate(data.stages) if each == stage]
        line = {**style["line"], "dash": DASHES[number % len(DASHES)]}
        symbol = {**style["marker"], "symbol": SYMBOLS[number % len(SYMBOLS)]}
        steps = [steps[0] - 1, *steps] if steps[0] > 0 else steps  # joined to the stage before
        values = _rounded(data.objective[steps])
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
            y=_rounded([data.bound] * 2),
            mode="lines",
            name="lower bound",
            line={"color": MUTED, "dash": "dash"},
        )
    return figure


def loss_curves(curves: Sequence[LossCurve], methods: Sequence[str]) -> go.Figure:
    """Draw training losses of one model: running means, the recorded values faint behind them."""
    figure = base_figure("", "training steps", height=300)
    figure.update_yaxes(title_text="loss")
    for curve in curves:
        style, window = (
            _style(curve.method, methods, size=4),
            max(1, round(SMOOTHING * len(curve.loss))),
        )
        steps = [int(step) for step in curve.steps]
        if window > 1:
            figure.add_scatter(
                x=steps,
                y=_rounded(curve.loss),
                mode="lines",
                opacity=0.25,
                hoverinfo="skip",
                showlegend=False,
                line=style["line"],
            )
        figure.add_scatter(
            x=steps,
            y=_rounded(running_mean(curve.loss, window)),
            mode="lines",
            name=label(curve.method),
            line=style["line"],
        )
    return figure


@dataclass(frozen=True)
class Spread:
    """Figures of one method over several seeds, at one training length."""

    method: str
    steps: int
    mean: float
    half_width: float | None
    """Of the confidence interval; None for a single seed."""
    values: tuple[float, ...]
    """Of each seed."""


def interval_curves(spreads: Sequence[Spread], title: str, methods: Sequence[str]) -> go.Figure:
    """Draw means over the training length, a line for each method, their confidence intervals as bars."""
    figure = base_figure(title, "training steps", height=300)
    lengths = sorted({each.steps for each in spreads})
    for method in methods:
        own = sorted(
            (each for each in spreads if each.method == method), key=lambda each: each.steps
        )
        if own:
            bars = {
                "type": "data",
                "array": _rounded(each.half_width or 0.0 for each in own),
                "thickness": 1.2,
                "width": 4,
            }
            x, y = [lengths.index(each.steps) for each in own], _rounded(each.mean for each in own)
            figure.add_scatter(
                x=x,
                y=y,
                error_y=bars,
                mode="lines+markers",
                **_style(method, methods, size=8),
                showlegend=False,
            )
    return figure.update_xaxes(
        tickvals=list(range(len(lengths))), ticktext=[f"{each:,}" for each in lengths]
    )


def seed_dots(spreads: Sequence[Spread], title: str, methods: Sequence[str]) -> go.Figure:
    """Draw every seed's figure as a dot and the mean as a line through them, a row for each method, in the order given."""
    figure = base_figure("", title, height=70 + 26 * len(spreads))
    for row, each in enumerate(spreads):
        style = _style(each.method, methods, size=8)
        half = each.half_width or 0.0
        ends, line = (
            _rounded([each.mean - half, each.mean, each.mean + half]),
            {"color": style["line"]["color"], "width": 1.5},
        )
        figure.add_scatter(
            x=ends, y=[row] * 3, mode="lines", line=line, hoverinfo="skip", showlegend=False
        )
        figure.add_scatter(
            x=_rounded(each.values),
            y=[row] * len(each.values),
            mode="markers",
            **style,
            showlegend=False,
            opacity=0.8,
        )
    names = [label(each.method) for each in spreads]
    return figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5]
    )


def principal_plane(
    features: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " 2"]]:
    """Project features on the two directions of largest variance, signs fixed; also return the shares of variance."""
    centred = np.asarray(features, dtype=np.float64) - features.mean(axis=0)
    padded = np.pad(centred, ((0, max(0, 2 - len(centred))), (0, max(0, 2 - centred.shape[1]))))
    spread, directions = _two_largest(padded)
    directions = (
        directions * np.sign(directions[np.arange(2), np.abs(directions).argmax(axis=1)])[:, None]
    )
    total = float((centred**2).sum())
    shares = spread**2 / total if total > 0 else np.zeros(2)
    return padded[: len(centred)] @ directions.T, shares


def _two_largest(
    matrix: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, "2 d"]]:
    """Return the two largest singular values, the largest first, and their right vectors."""
    if min(matrix.shape) <= SMALL or not matrix.any():
        _, spread, directions = np.linalg.svd(matrix, full_matrices=False)
        return spread[:2], directions[:2]
    # All singular values of a class of ImageNet take a second, the first two a tenth of that; a fixed start gives a fixed result.
    # Single precision is far finer than a screen.
    start = np.ones(min(matrix.shape), dtype=np.float32)
    _, spread, directions = svds(
        matrix.astype(np.float32), k=2, v0=start, return_singular_vectors="vh"
    )
    return spread[::-1], directions[::-1]


def running_mean(values: Float[np.ndarray, " t"], window: int) -> Float[np.ndarray, " t"]:
    """Average each value with up to `window` - 1 values before it."""
    sums = np.cumsum(np.concatenate([[0.0], np.asarray(values, dtype=np.float64)]))
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - window)
    means: Float[np.ndarray, " t"] = (sums[ends] - sums[starts]) / (ends - starts)
    return means


def label(text: str) -> str:
    """Return a name as Plotly shall write it: it reads HTML tags in labels."""
    return html.escape(text, quote=False)


def _spokes(
    figure: go.Figure,
    points: Float[np.ndarray, "n 2"],
    assignment: Int[np.ndarray, " n"],
    colour: str,
    name: str,
) -> None:
    """Join every image to the chosen one that stands for it."""
    rows = np.flatnonzero(assignment >= 0)
    ends = np.full((len(rows), 3, 2), np.nan)
    ends[:, 0], ends[:, 1] = points[rows], points[assignment[rows]]
    x, y = (
        [None if np.isnan(value) else value for value in _rounded(part)]
        for part in (ends[..., 0].ravel(), ends[..., 1].ravel())
    )
    line = {"color": colour, "width": 0.6}
    figure.add_scatter(
        x=x,
        y=y,
        mode="lines",
        name=f"who stands for whom, {name}",
        line=line,
        opacity=0.5,
        hoverinfo="skip",
    )


def _points(
    figure: go.Figure, points: Float[np.ndarray, "n 2"], name: str, marker: Mapping[str, Any]
) -> None:
    figure.add_scatter(
        x=_rounded(points[:, 0]), y=_rounded(points[:, 1]), mode="markers", name=name, marker=marker
    )


def _style(method: str, methods: Sequence[str], size: int) -> dict[str, Any]:
    colour, number = colour_of(method, methods), methods.index(method)
    symbol = SYMBOLS[
        (number + number // len(COLOURS)) % len(SYMBOLS)
    ]  # colours come again, pairs of colour and symbol much later
    marker = {"color": colour, "symbol": symbol, "size": size}
    return {"name": label(method), "line": {"color": colour, "width": 2.2}, "marker": marker}


def base_figure(title: str, x_title: str, height: int) -> go.Figure:
    """Return an empty figure in the report's style."""
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


def _rounded(values: Any) -> list[float]:
    """Return plain numbers to 6 significant digits: smaller files, and bytes that do not depend on the last bit."""
    return [float(f"{float(value):.6g}") for value in values]
