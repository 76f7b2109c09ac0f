"""The tables of a report, with marks on values that are best beyond the noise."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from otcondense.counts import counted
from otcondense.evaluation.registry import METRICS, Metric
from otcondense.report.data import MetricRow, SubsetRow
from otcondense.report.noise import Mark, marks_of

T = TypeVar("T")
SAME_RELATIVE = 1e-6
"""FD repeats FID if they differ by less than this share ..."""
SAME_ABSOLUTE = 1e-5
"""... or by less than this difference."""
REPEATS_FID = (
    "FD, by our own function on the same features, is the same as FID in every row (to 1e-5) "
    "and has no column."
)
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
    mark: Mark = ""
    spread: str = ""
    """Standard error, if known."""

    @property
    def best(self) -> bool:
        """Whether it is better than every other value of its group beyond the noise."""
        return self.mark == "best"


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

    Its rows are grouped by training length; values that are best beyond the noise are marked.
    """
    tables = []
    for model in unique(row.model for row in rows):
        table = _metric_table(model, of_model(rows, model), metrics)
        if table.metrics:
            tables.append(table)
    return tuple(tables)


def of_model(rows: Sequence[MetricRow], model: str) -> list[MetricRow]:
    """Return the rows of one model."""
    return [row for row in rows if row.model == model]


def _metric_table(model: str, rows: Sequence[MetricRow], wanted: Sequence[Metric]) -> Table:
    metrics, note = known_metrics(rows, wanted)
    groups = []
    for steps in sorted({row.steps for row in rows}):
        group = [row for row in rows if row.steps == steps]
        groups.append(Group(counted(steps, "training step"), _lines(group, metrics)))
    return Table(model, metrics, tuple(groups), _provenance(rows), note)


def subset_table(rows: Sequence[SubsetRow], size: str = "") -> Table:
    """Return the table of metrics without training.

    It is grouped by the number of chosen images: only subsets of one size compare.

    Args:
        rows: the subsets.
        size: pixels in which they were measured, such as 32x32: a part of the metrics' names,
            because the same images in their own size have other values.
    """
    metrics = tuple(_in_size(metric, size) for metric in _present(rows, QUALITY))
    groups = []
    for count in sorted({row.num_images for row in rows}):
        group = [row for row in rows if row.num_images == count]
        groups.append(Group(counted(count, "chosen image"), _lines(group, metrics)))

    held_out = [counted(count, "held-out image") for count in _held_out(rows)]
    provenance = f"Against {' and '.join(held_out)}."
    return Table("The chosen images", metrics, tuple(groups), provenance)


def _in_size(metric: Metric, size: str) -> Metric:
    return replace(metric, title=f"{metric.title} at {size}") if size else metric


def _held_out(rows: Sequence[SubsetRow]) -> list[int]:
    return sorted({row.num_held_out for row in rows})


def _present(
    rows: Sequence[MetricRow] | Sequence[SubsetRow], wanted: Sequence[Metric]
) -> tuple[Metric, ...]:
    """Return the metrics that any row has."""
    names = set(itertools.chain.from_iterable(row.values for row in rows))
    return tuple(metric for metric in wanted if metric.name in names)


def known_metrics(
    rows: Sequence[MetricRow], wanted: Sequence[Metric]
) -> tuple[tuple[Metric, ...], str]:
    """Return the metrics that any row has and a note; without FD if it only repeats FID."""
    found = _present(rows, wanted)
    if not all(_repeats_fid(row.values) for row in rows):
        return found, ""
    kept = tuple(metric for metric in found if metric.name != "frechet_distance")
    return kept, REPEATS_FID if len(kept) < len(found) else ""


def _repeats_fid(values: Mapping[str, float]) -> bool:
    fid = values.get("fid")
    distance = values.get("frechet_distance")
    if fid is None or distance is None:
        return False
    return abs(fid - distance) <= SAME_ABSOLUTE + SAME_RELATIVE * abs(fid)


def _lines(
    rows: Sequence[MetricRow] | Sequence[SubsetRow], metrics: Sequence[Metric]
) -> tuple[Line, ...]:
    values = [row.values for row in rows]
    methods = [row.method for row in rows]
    marks = {metric.name: marks_of(values, metric) for metric in metrics}
    lines = []
    for number, method in enumerate(methods):
        cells = [_cell(values[number], metric, marks[metric.name][number]) for metric in metrics]
        lines.append(Line(method, tuple(cells)))
    return tuple(lines)


def _cell(values: Mapping[str, float], metric: Metric, mark: Mark) -> Cell:
    value = values.get(metric.name)
    if value is None:
        return Cell("n/a")
    error = values.get(metric.error_name)
    return Cell(metric.text(value), mark, metric.text(error) if error else "")


def _provenance(rows: Sequence[MetricRow]) -> str:
    return "; ".join(unique(map(_source, rows))) + "."


def _source(row: MetricRow) -> str:
    return (
        f"{counted(row.num_samples, 'sample')} against "
        f"{counted(row.num_held_out, 'held-out image')} through "
        f"{row.encoder} (weights {row.encoder_sha256[:12]})"
    )


def unique(values: Iterable[T]) -> tuple[T, ...]:
    """Return the values, each once, in the order of their first appearance."""
    return tuple(dict.fromkeys(values))
