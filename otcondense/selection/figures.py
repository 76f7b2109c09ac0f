"""Figures of a fitted selector; plotly is needed."""

import html
from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from jaxtyping import Float, Int
from numpy.typing import ArrayLike
from plotly.subplots import make_subplots

from otcondense.history import Step
from otcondense.report.planes import principal_plane
from otcondense.selection.arrays import as_rows
from otcondense.shares import percent

COLOUR = "#3b7dea"
MUTED = "#8a94a3"
HEIGHT = 420
"""Pixels."""


def history_figure(histories: dict[str, list[Step]], lower_bound: float) -> go.Figure:
    """Draw the objective after each step, a line for each class.

    Args:
        histories: steps of each class, by its name.
        lower_bound: drawn if it is finite and there is one class.
    """
    figure = go.Figure()
    _add_histories(figure, histories, lower_bound)
    figure.update_xaxes(title_text="step").update_yaxes(title_text="objective")
    return figure.update_layout(template="simple_white", height=HEIGHT)


def history_and_map(
    histories: dict[str, list[Step]],
    lower_bound: float,
    features: ArrayLike,
    indices: Int[np.ndarray, " k"],
    assignment: Int[np.ndarray, " n"],
) -> go.Figure:
    """Draw the same next to a map of the images in their two main directions.

    Raises: InputError for features of another number of images.
    """
    rows = as_rows("features", features, 2, len(assignment))
    points, shares = principal_plane(rows)
    figure = make_subplots(1, 2, subplot_titles=("objective after each step", "map"))
    _add_histories(figure, histories, lower_bound, row=1, col=1)
    left_out = np.flatnonzero(assignment < 0)
    _add_points(figure, points, f"all {len(points):,} images", {"color": MUTED, "opacity": 0.4})
    _add_points(
        figure,
        points[left_out],
        f"left out ({len(left_out):,})",
        {"symbol": "x-thin", "line": {"color": MUTED, "width": 1.5}},
    )
    _add_points(
        figure,
        points[indices],
        f"chosen ({len(indices):,})",
        {"color": COLOUR, "size": 11, "line": {"color": "#ffffff", "width": 1.5}},
    )
    figure.update_xaxes(title_text="step", row=1, col=1)
    figure.update_xaxes(title_text=f"first direction ({percent(shares[0], 0)})", row=1, col=2)
    figure.update_yaxes(title_text=f"second direction ({percent(shares[1], 0)})", row=1, col=2)
    return figure.update_layout(template="simple_white", height=HEIGHT)


def _add_histories(
    figure: go.Figure, histories: dict[str, list[Step]], lower_bound: float, **place: int
) -> None:
    for name, steps in histories.items():
        known = [step for step in steps if np.isfinite(step.objective)]
        if known:
            _line(figure, [step.objective for step in known], html.escape(name), {}, place)
    if len(histories) == 1 and np.isfinite(lower_bound):
        length = max(2, len(next(iter(histories.values()))))
        dashed = {"color": MUTED, "dash": "dash"}
        _line(figure, [lower_bound] * length, "lower bound", dashed, place)


def _line(
    figure: go.Figure,
    values: Sequence[float],
    name: str,
    line: dict[str, str],
    place: dict[str, int],
) -> None:
    steps = list(range(1, len(values) + 1))
    figure.add_scatter(x=steps, y=list(values), mode="lines", name=name, line=line, **place)


def _add_points(
    figure: go.Figure, points: Float[np.ndarray, "m 2"], name: str, marker: dict[str, Any]
) -> None:
    x, y = points[:, 0].tolist(), points[:, 1].tolist()
    figure.add_scatter(x=x, y=y, mode="markers", name=name, marker=marker, row=1, col=2)
