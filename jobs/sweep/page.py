"""The page of a sweep, one self-contained file.

It shows parallel coordinates, response curves, the Pareto front and every trial.
"""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import plotly.graph_objects as go

from jobs.sweep.repeats import Repeated
from jobs.trials.records import Record, best_record, result_row
from jobs.trials.trial import Sweep, describe
from otcondense.counts import counted
from otcondense.evaluation.registry import bounds_of, direction_phrase, sign
from otcondense.report.embed import Plot, embed
from otcondense.report.page import render_page as render_template
from otcondense.report.plots import COLOURS, base_figure, keep_within, label

Row = dict[str, Any]
HEIGHT = 340
"""Of every plot, in pixels."""
COLOUR = COLOURS[0]
"""Of trials."""
FRONT_COLOUR = COLOURS[1]
"""Of the best trials."""
SIZE = 8
"""Of the point of a trial, in pixels."""
FRONT_SIZE = 12
"""Of the point of a trial on the Pareto front."""


def render_page(sweep: Sweep, records: Sequence[Record], repeated: Repeated | None = None) -> str:
    """Return the page; the same records give the same text, and all data is escaped.

    Args:
        sweep: the sweep.
        records: of its trials.
        repeated: the best two with further seeds; None if they were not repeated.
    """
    config = sweep.config
    rows = sorted(map(result_row, records), key=lambda row: _order(row, sweep))
    measured = [row for row in rows if row["state"] == "finished"]
    best = best_record(records, config.metric, config.direction)
    columns = list(dict.fromkeys(itertools.chain.from_iterable(rows)))
    counts = Counter(record.state for record in records)
    context = {
        "title": f"Sweep {config.name}",
        "metric": config.metric,
        "phrase": direction_phrase(config.direction),
        "counts": dict(counts),
        "best": "",
        "best_key": "",
        "mark": "best" if repeated is not None and repeated.verdict == "better" else "ahead",
        "repeated": repeated,
        "describe": describe,
        "reference": _reference(sweep),
        "wide": list(_wide_figures(sweep, measured)),
        "curves": list(_response_curves(sweep, measured)),
        "columns": columns,
        "rows": [_texts(row, columns) for row in rows],
    }
    equal = _equals(best, measured, config.metric)
    if len(equal) > 1:
        context["best"] = f"{len(equal)} trials with equal values"
    elif best is not None:
        context["best"] = describe(best.values)
        context["best_key"] = best.key
    return render_template("jobs.sweep", "page.html.j2", context)


def _equals(best: Record | None, rows: Sequence[Row], metric: str) -> list[Row]:
    """Return the trials whose value looks like that of the best one."""
    if best is None:
        return []
    value = best.metric(metric)
    return [row for row in rows if _text(row.get(metric)) == _text(value)]


def _reference(sweep: Sweep) -> str:
    """Return what the trials are measured against, where it is not what a run measures against."""
    config = sweep.config
    if config.kind == "full":
        return ""
    most = counted(config.reference_images, "image")
    if sweep.base.held_out is None or not sweep.base.source.has_images:
        return f"at most {most} of the source itself, as no images are held out"
    return f"the held-out images (at most {most}, evenly spaced)"


def _order(row: Row, sweep: Sweep) -> float:
    """Return a key to sort rows by, best first and unmeasured ones last."""
    config = sweep.config
    if config.metric not in row:
        return float("inf")
    return float(sign(config.direction) * row[config.metric])


def _texts(row: Row, columns: Sequence[str]) -> dict[str, str]:
    return {name: _text(row.get(name)) for name in columns}


def _wide_figures(sweep: Sweep, rows: list[Row]) -> Iterator[Plot]:
    config = sweep.config
    axes = [name for name in (*config.space, config.metric) if _is_numeric(rows, name)]
    if len(rows) > 1 and len(axes) > 1 and config.metric in axes:
        words = (
            "Each finished trial is a line from its settings to its metric; "
            "the one with the best value is thick and orange."
        )
        yield embed("coordinates", _lines(axes, rows), words)

    second = _second_metric(sweep)
    if rows and _is_numeric(rows, second):
        yield _front(sweep, rows, second)


def _lines(axes: list[str], rows: list[Row]) -> Any:
    """Return the parallel coordinates of the rows, the best first.

    They are plain lines, since plotly's own parallel coordinates need WebGL.
    """
    ends = {}
    for name in axes:
        values = [row[name] for row in rows]
        ends[name] = (min(values), max(values))
    ticks = [
        f"{label(name)}<br>{_text(low)} to {_text(high)}" for name, (low, high) in ends.items()
    ]

    figure = base_figure("", "", HEIGHT).update_layout(showlegend=False)
    for number, row in reversed(list(enumerate(rows))):
        heights = [(row[name] - low) / ((high - low) or 1) for name, (low, high) in ends.items()]
        texts = [f"{row['trial']}: {label(name)} {_text(row[name])}" for name in axes]
        trace = go.Scatter(
            x=ticks,
            y=heights,
            text=texts,
            hoverinfo="text",
            mode="lines+markers",
            line={"color": COLOUR, "width": 1.5},
            opacity=0.5,
        )
        if number == 0:
            trace.update(line={"color": FRONT_COLOUR, "width": 3}, opacity=1)
        figure.add_trace(trace)
    return figure.update_yaxes(tickvals=[0, 1], ticktext=["least", "most"])


def _second_metric(sweep: Sweep) -> str:
    return "recall" if sweep.config.metric != "recall" else "frechet_distance"


def _front(sweep: Sweep, rows: list[Row], second: str) -> Plot:
    first = sweep.config.metric
    x_sign = sign(sweep.config.metrics[first].direction)
    y_sign = sign(sweep.config.metrics[second].direction)
    is_front = pareto([(x_sign * row[first], y_sign * row[second]) for row in rows])

    colours = [FRONT_COLOUR if front else COLOUR for front in is_front]
    sizes = [FRONT_SIZE if front else SIZE for front in is_front]
    trace = go.Scatter(
        x=_column(rows, first),
        y=_column(rows, second),
        mode="markers",
        text=_column(rows, "trial"),
        marker={"color": colours, "size": sizes},
    )
    words = (
        f"{first} against {second}; large points are the Pareto front: "
        "no other trial is better in one and at least as good in the other."
    )
    return _plot("front", [trace], words, first, second)


def pareto(points: Sequence[Sequence[float]]) -> list[bool]:
    """Return for each point whether it is on the Pareto front; lower is better."""
    return [not _is_dominated(point, points) for point in points]


def _is_dominated(point: Sequence[float], points: Sequence[Sequence[float]]) -> bool:
    return any(_dominates(other, point) for other in points)


def _dominates(other: Sequence[float], point: Sequence[float]) -> bool:
    """Return whether `other` is better in one coordinate and at least as good in all."""
    as_good = all(a <= b for a, b in zip(other, point, strict=True))
    return as_good and tuple(other) != tuple(point)


def _response_curves(sweep: Sweep, rows: list[Row]) -> Iterator[Plot]:
    """Yield the metric over each numeric setting: all trials, and a line through the best ones."""
    metric = sweep.config.metric
    if not rows or not _is_numeric(rows, metric):
        return
    choose = min if sweep.config.direction == "lower" else max
    names = [name for name in sweep.config.space if _is_numeric(rows, name)]
    for number, name in enumerate(names):
        by_value: dict[float, list[float]] = {}
        for row in rows:
            by_value.setdefault(row[name], []).append(row[metric])
        values = sorted(by_value)

        points = go.Scatter(
            x=_column(rows, name),
            y=_column(rows, metric),
            mode="markers",
            marker={"color": COLOUR},
        )
        line = go.Scatter(
            x=values,
            y=[choose(by_value[value]) for value in values],
            mode="lines",
            line={"color": FRONT_COLOUR},
        )
        words = (
            f"{metric} over {name}; the line joins the best trial of each value, so that luck "
            "favours values with many trials."
        )
        yield _plot(f"response-{number}", [points, line], words, name, metric)


def _plot(name: str, traces: Sequence[Any], words: str, x_title: str, y_title: str) -> Plot:
    figure = base_figure("", label(x_title), HEIGHT)
    figure.update_layout(showlegend=False)
    figure.update_yaxes(title_text=label(y_title))
    keep_within(figure.layout.xaxis, bounds_of(x_title))
    keep_within(figure.layout.yaxis, bounds_of(y_title))
    figure.add_traces(traces)
    figure.update_traces(cliponaxis=False)
    return embed(name, figure, words)


def _column(rows: Sequence[Row], name: str) -> list[Any]:
    return [row[name] for row in rows]


def _is_numeric(rows: Sequence[Row], name: str) -> bool:
    return all(isinstance(row.get(name), int | float) for row in rows)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
