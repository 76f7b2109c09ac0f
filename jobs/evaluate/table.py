"""The table of metrics that a run prints at its end."""

from collections.abc import Iterator, Sequence

from jobs.run_directory.results import CheckpointMetrics, read_metrics
from jobs.run_directory.run import Run
from otcondense.evaluation.registry import METRICS, Metric
from otcondense.report.data import MetricRow
from otcondense.report.tables import known_metrics

SUMMARY = tuple(metric for metric in METRICS.values() if metric.in_summary)
MISSING = "-"
"""Stands for a metric that has no value at one checkpoint."""
GAP = "  "


def print_table(run: Run) -> None:
    """Print a row for each checkpoint and a column for each metric that has a value.

    FD has no column where it only repeats FID.
    """
    records = read_metrics(run)
    if not records:
        return
    metrics, note = known_metrics([_row(record) for record in records], SUMMARY)
    titles = [f"{metric.title} {metric.arrow}" for metric in metrics]
    lines = [["model", "method", "steps", *titles]]
    lines += [list(_cells(record, metrics)) for record in records]
    print()
    for line in _aligned(lines):
        print(line)
    if note:
        print(note)


def _row(record: CheckpointMetrics) -> MetricRow:
    values = record.record
    return MetricRow(
        model=record.model,
        method=record.method,
        steps=record.step,
        values=values.values,
        num_samples=values.num_samples,
        num_held_out=values.num_held_out,
        encoder=values.encoder,
        encoder_sha256=values.encoder_sha256,
    )


def _cells(record: CheckpointMetrics, metrics: Sequence[Metric]) -> Iterator[str]:
    yield from (record.model, record.method, f"{record.step:,}")
    for metric in metrics:
        value = record.record.values.get(metric.name)
        error = record.record.values.get(metric.error_name)
        text = MISSING if value is None else metric.text(value)
        yield f"{text} ± {metric.text(error)}" if value is not None and error else text


def _aligned(lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines with columns of equal width: two of words, then numbers."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        words = [cell.ljust(width) for cell, width in zip(line[:2], widths[:2], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[2:], widths[2:], strict=True)]
        yield GAP.join([*words, *numbers]).rstrip()
