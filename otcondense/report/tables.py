"""The tables of a report: the best values, and whether training length changes the order."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from otcondense.evaluation.registry import METRICS, Metric
from otcondense.report.data import MetricRow, SubsetRow

T = TypeVar("T")
SAME_RELATIVE = 1e-6
"""FD repeats FID if they differ by less than this share ..."""
SAME_ABSOLUTE = 1e-5
"""... or by less than this difference."""


MEMORISATION = ("copying", "denoising")
"""Groups of metrics that show memorisation."""


def _in_report(*, copying: bool) -> tuple[Metric, ...]:
    shown = [metric for metric in METRICS.values() if metric.in_report]
    return tuple(metric for metric in shown if (metric.group in MEMORISATION) == copying)


QUALITY = _in_report(copying=False)
"""Columns of the tables of quality: of samples, or of subsets themselves."""
COPYING = _in_report(copying=True)
"""Columns of the tables of memorisation: whether samples copy the chosen images, and whether the
model knows them better than others."""


@dataclass(frozen=True)
class Cell:
    """One value of a table."""

    text: str
    best: bool = False
    spread: str = ""
    """Standard error, if known."""


@dataclass(frozen=True)
class Line:
    """One row of a table: a method and its values."""

    method: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Rows that compete for the best mark."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table of metrics with one group for each training length."""

    name: str
    metrics: tuple[Metric, ...]
    groups: tuple[Group, ...]
    provenance: str
    note: str = ""


def metric_tables(
    rows: Sequence[MetricRow], metrics: Sequence[Metric] = QUALITY
) -> tuple[Table, ...]:
    """Return one table for each model.

    Its rows are grouped by training length; the best value of each group is marked.
    """
    tables = []
    for model in _unique(row.model for row in rows):
        table = _metric_table(model, _of_model(rows, model), metrics)
        if table.metrics:
            tables.append(table)
    return tuple(tables)


def _of_model(rows: Sequence[MetricRow], model: str) -> list[MetricRow]:
    return [row for row in rows if row.model == model]


def _metric_table(model: str, rows: Sequence[MetricRow], wanted: Sequence[Metric]) -> Table:
    metrics, note = _known_metrics(rows, wanted)
    groups = []
    for steps in sorted({row.steps for row in rows}):
        group = [row for row in rows if row.steps == steps]
        groups.append(Group(f"{steps:,} training steps", _lines(group, metrics)))
    return Table(model, metrics, tuple(groups), _provenance(rows), note)


def subset_table(rows: Sequence[SubsetRow]) -> Table:
    """Return the table of metrics without training.

    It is grouped by the number of chosen images: only subsets of one size compare.
    """
    metrics = _present(rows, QUALITY)
    groups = []
    for size in sorted({row.num_images for row in rows}):
        group = [row for row in rows if row.num_images == size]
        groups.append(Group(f"{size:,} chosen images", _lines(group, metrics)))

    held_out = sorted({row.num_held_out for row in rows})
    against = " and ".join(f"{count:,}" for count in held_out)
    provenance = f"Against {against} held-out images."
    return Table("The chosen images", metrics, tuple(groups), provenance)


def _present(
    rows: Sequence[MetricRow] | Sequence[SubsetRow], wanted: Sequence[Metric]
) -> tuple[Metric, ...]:
    """Return the metrics that any row has."""
    names = set(itertools.chain.from_iterable(row.values for row in rows))
    return tuple(metric for metric in wanted if metric.name in names)


def _known_metrics(
    rows: Sequence[MetricRow], wanted: Sequence[Metric]
) -> tuple[tuple[Metric, ...], str]:
    """Return the metrics that any row has and a note; without FD if it only repeats FID."""
    found = _present(rows, wanted)
    if wanted is not QUALITY or not all(_repeats_fid(row.values) for row in rows):
        return found, ""
    note = (
        "FD, by our own function on the same features, is the same as FID in every row (to 1e-5) "
        "and has no column."
    )
    return tuple(metric for metric in found if metric.name != "frechet_distance"), note


def _repeats_fid(values: Mapping[str, float]) -> bool:
    fid = values.get("fid")
    distance = values.get("frechet_distance")
    if fid is None or distance is None:
        return False
    return abs(fid - distance) <= SAME_ABSOLUTE + SAME_RELATIVE * abs(fid)


def _lines(
    rows: Sequence[MetricRow] | Sequence[SubsetRow], metrics: Sequence[Metric]
) -> tuple[Line, ...]:
    best = {metric.name: _best(rows, metric) for metric in metrics}
    lines = []
    for row in rows:
        cells = [_cell(row, metric, best[metric.name], len(rows)) for metric in metrics]
        lines.append(Line(row.method, tuple(cells)))
    return tuple(lines)


def _best(rows: Sequence[MetricRow] | Sequence[SubsetRow], metric: Metric) -> float | None:
    ranks = [metric.rank(row.values[metric.name]) for row in rows if metric.name in row.values]
    return min(ranks, default=None)


def _cell(row: MetricRow | SubsetRow, metric: Metric, best: float | None, competitors: int) -> Cell:
    value = row.values.get(metric.name)
    if value is None:
        return Cell("n/a")
    error = row.values.get(metric.error_name)
    return Cell(
        text=metric.text(value),
        best=competitors > 1 and metric.rank(value) == best,
        spread=metric.text(error) if error else "",
    )


def _provenance(rows: Sequence[MetricRow]) -> str:
    return "; ".join(_unique(map(_source, rows))) + "."


def _source(row: MetricRow) -> str:
    return (
        f"{row.num_samples:,} samples against {row.num_held_out:,} held-out images through "
        f"{row.encoder} (weights {row.encoder_sha256[:12]})"
    )


@dataclass(frozen=True)
class OrderStatement:
    """Whether the order of methods changes with the training length, for one model."""

    model: str
    verdict: str
    orders: tuple[tuple[str, str], ...] = ()
    """For each training length, the methods by the first metric, best first, `=` between equals."""


def order_statements(rows: Sequence[MetricRow]) -> tuple[OrderStatement, ...]:
    """Say for each model whether the order of methods changes with the training length."""
    models = _unique(row.model for row in rows)
    return tuple(_order_statement(model, _of_model(rows, model)) for model in models)


def _order_statement(model: str, rows: Sequence[MetricRow]) -> OrderStatement:
    lengths = sorted({row.steps for row in rows})
    methods = _methods_of_all_lengths(rows, lengths)
    metrics = _metrics_of_all_rows(rows)
    missing = _missing_for_order(lengths, methods, metrics)
    if missing:
        return OrderStatement(model, f"nothing can be said {missing}.")

    orders = {}
    for metric in metrics:
        orders[metric.title] = [_order(rows, methods, steps, metric) for steps in lengths]
    first = metrics[0].title
    seen = []
    for steps, order in zip(lengths, orders[first], strict=True):
        seen.append((f"{steps:,} steps", order))
    return OrderStatement(model, _verdict(orders, first), tuple(seen))


def _methods_of_all_lengths(rows: Sequence[MetricRow], lengths: Sequence[int]) -> list[str]:
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row.method, set()).add(row.steps)
    return [method for method, steps in found.items() if steps == set(lengths)]


def _metrics_of_all_rows(rows: Sequence[MetricRow]) -> list[Metric]:
    candidates = (*_known_metrics(rows, QUALITY)[0], *COPYING)
    common = set.intersection(*(set(row.values) for row in rows))
    return [metric for metric in candidates if metric.name in common]


def _missing_for_order(
    lengths: Sequence[int], methods: Sequence[str], metrics: Sequence[Metric]
) -> str:
    """Return why there is no order to compare; empty if there is one."""
    if len(lengths) < 2:
        return "with one training length"
    if len(methods) < 2:
        return "with one method"
    return "" if metrics else "without a metric that all rows have"


def _verdict(orders: Mapping[str, Sequence[str]], first: str) -> str:
    flipped = [title for title, order in orders.items() if len(set(order)) > 1]
    others = [title for title in flipped if title != first]
    if first in flipped:
        start = f"by {first} the order flips"
        rest = f"; it also flips by {_listed(others)}" if others else ""
    else:
        start = f"by {first} the order does not flip"
        rest = f"; but it flips by {_listed(others)}" if others else ""
    return f"{start}{rest}."


def _order(rows: Sequence[MetricRow], methods: Sequence[str], steps: int, metric: Metric) -> str:
    ranks: dict[str, float] = {}
    for row in rows:
        if row.steps == steps:
            ranks[row.method] = metric.rank(row.values[metric.name])

    by_rank: dict[float, list[str]] = {}
    for method in methods:
        by_rank.setdefault(ranks[method], []).append(method)
    return ", ".join(" = ".join(by_rank[rank]) for rank in sorted(by_rank))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
