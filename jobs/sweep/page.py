"""The page of a sweep, one self-contained file: parallel coordinates, response curves, Pareto front, every trial."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from jobs.trials.records import Record, best_record, result_row
from jobs.trials.trial import Sweep, describe
from otcondense.report.embed import Plot, embed
from otcondense.report.page import render_page as render_template
from otcondense.report.plots import COLOURS, base_figure, label

Row = dict[str, Any]
HEIGHT, COLOUR, FRONT_COLOUR = 340, *COLOURS[:2]


def render_page(sweep: Sweep, records: Sequence[Record]) -> str:
    """Return the page; the same records give the same text, and everything that comes from data is escaped."""
    config, rows = sweep.config, [result_row(record) for record in records]
    sign = 1 if config.mode == "min" else -1
    rows.sort(key=lambda row: sign * row[config.metric] if config.metric in row else float("inf"))
    measured = [row for row in rows if row["state"] == "finished"]
    best = best_record(records, config.metric, config.mode)
    context = {
        "title": f"Sweep {config.name}",
        "metric": config.metric,
        "mode": config.mode,
        "counts": dict(Counter(record.state for record in records)),
        "best": None if best is None else describe(best.values),
        "best_key": None if best is None else best.key,
        "wide": list(_wide_figures(sweep, measured)),
        "curves": list(_response_curves(sweep, measured)),
        "columns": list(dict.fromkeys(name for row in rows for name in row)),
        "rows": [{name: _text(row.get(name)) for each in rows for name in each} for row in rows],
    }
    return render_template("jobs.sweep", "page.html.j2", context)


def _wide_figures(sweep: Sweep, rows: list[Row]) -> Iterator[Plot]:

    config = sweep.config
    axes = [name for name in (*config.space, config.metric) if _is_numeric(rows, name)]
    if len(rows) > 1 and len(axes) > 1 and config.metric in axes:
        words = "Every finished trial is a line from its settings to its figure; the best is thick and orange."
        yield embed("coordinates", _lines(axes, rows), words)
    second = _second_metric(sweep)
    if rows and _is_numeric(rows, second):
        yield _front(sweep, rows, second)


def _lines(axes: list[str], rows: list[Row]) -> Any:
    """Return the parallel coordinates of the rows, the best first: plain lines, since plotly's own need WebGL."""
    ends = {name: (min(row[name] for row in rows), max(row[name] for row in rows)) for name in axes}
    ticks = [f"{label(name)}<br>{_text(ends[name][0])} to {_text(ends[name][1])}" for name in axes]
    figure = base_figure("", "", HEIGHT).update_layout(showlegend=False)
    for number, row in reversed(list(enumerate(rows))):
        heights = [(row[name] - low) / ((high - low) or 1) for name, (low, high) in ends.items()]
        texts = [f"{row['trial']}: {label(name)} {_text(row[name])}" for name in axes]
        line = {"color": COLOUR if number else FRONT_COLOUR, "width": 1.5 if number else 3}
        trace = go.Scatter(
            x=ticks,
            y=heights,
            text=texts,
            hoverinfo="text",
            mode="lines+markers",
            line=line,
            opacity=0.5 if number else 1,
        )
        figure.add_trace(trace)
    return figure.update_yaxes(tickvals=[0, 1], ticktext=["least", "most"])


def _second_metric(sweep: Sweep) -> str:
    return "recall" if sweep.config.metric != "recall" else "frechet_distance"


def _front(sweep: Sweep, rows: list[Row], second: str) -> Plot:
    metrics, directions = (sweep.config.metric, second), sweep.config.directions
    front = pareto(
        [[row[name] * (1 if directions[name] == "min" else -1) for name in metrics] for row in rows]
    )
    x, y = ([row[name] for row in rows] for name in metrics)
    points = go.Scatter(
        x=x,
        y=y,
        mode="markers",
        text=[row["trial"] for row in rows],
        marker={
            "color": [FRONT_COLOUR if each else COLOUR for each in front],
            "size": [12 if each else 8 for each in front],
        },
    )
    caption = f"{metrics[0]} against {second}; large points are the Pareto front: no trial is better in one and as good in the other."
    return _plot("front", [points], caption, *metrics)


def pareto(points: Sequence[Sequence[float]]) -> list[bool]:
    """Return which points no other is better than in one coordinate and as good in all; small is good."""

    def dominated(point: Sequence[float]) -> bool:
        return any(
            all(a <= b for a, b in zip(other, point, strict=True)) and tuple(other) != tuple(point)
            for other in points
        )

    return [not dominated(point) for point in points]


def _response_curves(sweep: Sweep, rows: list[Row]) -> Iterator[Plot]:
    """Yield the metric over each numeric setting: every trial, and a line through the best at each value."""
    metric, choose = sweep.config.metric, min if sweep.config.mode == "min" else max
    names = [
        name
        for name in sweep.config.space
        if rows and _is_numeric(rows, name) and _is_numeric(rows, metric)
    ]
    for number, name in enumerate(names):
        values = sorted({row[name] for row in rows})
        best = [choose(row[metric] for row in rows if row[name] == value) for value in values]
        points = go.Scatter(
            x=[row[name] for row in rows],
            y=[row[metric] for row in rows],
            mode="markers",
            marker={"color": COLOUR},
        )
        line = go.Scatter(x=values, y=best, mode="lines", line={"color": FRONT_COLOUR})
        yield _plot(
            f"response-{number}",
            [points, line],
            f"{metric} over {name}; the line is the best trial at each value.",
            name,
            metric,
        )


def _plot(name: str, traces: Sequence[Any], words: str, x_title: str, y_title: str) -> Plot:
    figure = (
        base_figure("", label(x_title), HEIGHT)
        .update_layout(showlegend=False)
        .update_yaxes(title_text=label(y_title))
    )
    return embed(name, figure.add_traces(traces), words)


def _is_numeric(rows: Sequence[Row], name: str) -> bool:
    return all(isinstance(row.get(name), int | float) for row in rows)


def _text(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
