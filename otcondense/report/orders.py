"""Whether the order of methods changes with the training length, as far as the noise tells."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from otcondense.counts import counted
from otcondense.evaluation.registry import Metric
from otcondense.report.data import MetricRow
from otcondense.report.noise import Values, is_beyond_noise, rank
from otcondense.report.tables import COPYING, QUALITY, known_metrics, of_model, unique

Change = Literal["holds", "flips", "within", "unknown"]
PHRASES: dict[Change, str] = {
    "holds": "the order does not flip",
    "flips": "the order flips, beyond the noise",
    "within": "the order changes, but within the noise",
    "unknown": "the order changes; without standard errors, nothing tells whether by noise",
}
ByMethod = Mapping[str, Values]
"""Metrics of each method at one training length."""


@dataclass(frozen=True)
class OrderStatement:
    """Whether the order of methods changes with the training length, for one model."""

    model: str
    verdict: str
    orders: tuple[tuple[str, str], ...] = ()
    """For each training length, the methods by the first metric, best first; `=` between equals,
    `≈` between neighbours that the noise does not tell apart."""


def order_statements(rows: Sequence[MetricRow]) -> tuple[OrderStatement, ...]:
    """Say for each model whether the order of methods changes with the training length."""
    models = unique(row.model for row in rows)
    return tuple(_order_statement(model, of_model(rows, model)) for model in models)


def _order_statement(model: str, rows: Sequence[MetricRow]) -> OrderStatement:
    lengths = sorted({row.steps for row in rows})
    methods = _methods_of_all_lengths(rows, lengths)
    metrics = _metrics_of_all_rows(rows)
    missing = _missing_for_order(lengths, methods, metrics)
    if missing:
        return OrderStatement(model, f"nothing can be said {missing}.")
    tables = [_by_method(rows, methods, steps) for steps in lengths]
    changes = {metric.title: _change(tables, metric) for metric in metrics}
    seen = []
    for steps, table in zip(lengths, tables, strict=True):
        seen.append((counted(steps, "step"), _order(table, metrics[0])))
    return OrderStatement(model, _verdict(changes, metrics[0].title), tuple(seen))


def _methods_of_all_lengths(rows: Sequence[MetricRow], lengths: Sequence[int]) -> list[str]:
    found: dict[str, set[int]] = {}
    for row in rows:
        found.setdefault(row.method, set()).add(row.steps)
    return [method for method, steps in found.items() if steps == set(lengths)]


def _metrics_of_all_rows(rows: Sequence[MetricRow]) -> list[Metric]:
    candidates = (*known_metrics(rows, QUALITY)[0], *COPYING)
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


def _by_method(rows: Sequence[MetricRow], methods: Sequence[str], steps: int) -> dict[str, Values]:
    values = {row.method: row.values for row in rows if row.steps == steps}
    return {method: values[method] for method in methods}


def _change(tables: Sequence[ByMethod], metric: Metric) -> Change:
    """Return what happens to the order of the methods from length to length."""
    orders = [_groups(table, metric) for table in tables]
    if all(order == orders[0] for order in orders):
        return "holds"
    if any(metric.error_name not in values for table in tables for values in table.values()):
        return "unknown"
    pairs = itertools.permutations(tables[0], 2)
    return "flips" if any(_reverses(tables, pair, metric) for pair in pairs) else "within"


def _reverses(tables: Sequence[ByMethod], pair: tuple[str, str], metric: Metric) -> bool:
    """Return whether the first is better at one length and the second at another."""
    first, second = pair
    return _is_ahead(tables, first, second, metric) and _is_ahead(tables, second, first, metric)


def _is_ahead(tables: Sequence[ByMethod], first: str, second: str, metric: Metric) -> bool:
    """Return whether `first` is better than `second` beyond the noise at any length."""
    found = [(table[first], table[second]) for table in tables]
    return any(
        rank(a, metric) < rank(b, metric) and is_beyond_noise(a, b, metric) for a, b in found
    )


def _groups(table: ByMethod, metric: Metric) -> list[list[str]]:
    """Return the methods, best first; equal ones are together."""
    by_rank: dict[float, list[str]] = {}
    for method, values in table.items():
        by_rank.setdefault(rank(values, metric), []).append(method)
    return [by_rank[each] for each in sorted(by_rank)]


def _order(table: ByMethod, metric: Metric) -> str:
    return "".join(_pieces(table, metric))


def _pieces(table: ByMethod, metric: Metric) -> Iterator[str]:
    before: list[str] = []
    for group in _groups(table, metric):
        if before:
            pair = (table[before[-1]], table[group[0]])
            has_errors = all(metric.error_name in values for values in pair)
            is_close = has_errors and not is_beyond_noise(*pair, metric)
            yield " ≈ " if is_close else ", "
        yield " = ".join(group)
        before = group


def _verdict(changes: Mapping[str, Change], first: str) -> str:
    others = [title for title, change in changes.items() if change == "flips" and title != first]
    rest = ""
    if others:
        joint = "it also flips" if changes[first] == "flips" else "but it flips"
        rest = f"; {joint} by {_listed(others)}"
    return f"by {first} {PHRASES[changes[first]]}{rest}."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
