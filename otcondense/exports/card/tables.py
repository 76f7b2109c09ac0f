"""The figures of a card as tables: objective with its bound, metrics, random draws."""

from collections.abc import Mapping, Sequence
from statistics import fmean

from otcondense.counts import counted
from otcondense.evaluation.registry import METRICS
from otcondense.exports.card.facts import About, ClassFacts, Measured
from otcondense.exports.card.markdown import escaped, table
from otcondense.report.answer import Compared, RandomComparison
from otcondense.shares import gap_text, percent

MOST_CLASSES = 100
"""Classes or groups that get a row each; of more, the card shows the last row only."""
DIGITS = 4
"""Digits of objectives and bounds."""
UNKNOWN = "-"
"""Cell of a figure that the method does not have."""


def class_table(about: About) -> str:
    """Return objective, bound and gap of each class, with the mean of all classes last.

    Groups have all of them together last: their sums, one objective and one bound.
    """
    classes = about.classes
    rows = []
    if len(classes) <= MOST_CLASSES:
        rows = [_row(escaped(each.name), [each], each.measures) for each in classes]
    every = counted(len(classes), about.unit)
    if about.together is None:
        rows.append(_row(f"**mean of {every}**", classes, _means(classes)))
    else:
        images = sum(each.num_images for each in classes)
        chosen = sum(each.num_chosen for each in classes)
        sums = ClassFacts("", images, chosen, about.together)
        rows.append(_row(f"**{every} together**", [sums], about.together))
    columns = ("images", "chosen", "objective", "lower bound", "gap at most", "left out")
    return table((about.unit, *columns), rows)


def _row(title: str, classes: Sequence[ClassFacts], measures: Mapping[str, float]) -> list[str]:
    return [
        title,
        _count([each.num_images for each in classes]),
        _count([each.num_chosen for each in classes]),
        _number(measures.get("objective")),
        _number(measures.get("lower_bound")),
        _gap(measures.get("gap")),
        _share(measures.get("left_out_share")),
    ]


def _means(classes: Sequence[ClassFacts]) -> dict[str, float]:
    """Return the mean of each measure that every class has."""
    means = {}
    for name in ("objective", "lower_bound", "gap", "left_out_share"):
        if all(name in each.measures for each in classes):
            means[name] = fmean(each.measures[name] for each in classes)
    return means


def _count(values: Sequence[int]) -> str:
    mean = fmean(values)
    return f"{mean:,.0f}" if mean == int(mean) else f"{mean:,.1f}"


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.{DIGITS}g}"


def _gap(value: float | None) -> str:
    return UNKNOWN if value is None else gap_text(value)


def _share(value: float | None) -> str:
    return UNKNOWN if value is None else percent(value)


def metric_table(measured: Measured) -> str:
    """Return the metrics of a thing, each with its standard error if it is known."""
    rows = []
    for name, metric in METRICS.items():
        if name in measured.values and metric.in_report:
            value = metric.text(measured.values[name])
            error = measured.values.get(metric.error_name)
            spread = "" if error is None else f" ± {metric.text(error)}"
            title = f"{escaped(metric.title)} {metric.arrow}"
            rows.append([title, f"{value}{spread}", escaped(metric.meaning)])
    return table(("metric", "value", "meaning"), rows)


def draw_table(compared: Compared) -> str:
    """Return the comparison of a thing with random draws, a row for each metric."""
    columns = ("metric", "this subset", "random", "draws beaten", "verdict")
    return table(columns, map(_draw_row, compared.metrics))


def _draw_row(each: RandomComparison) -> list[str]:
    spread = "" if each.noise is None else f" ± {each.known.text(each.noise)}"
    return [
        f"{escaped(each.name)} {each.known.arrow}",
        each.known.text(each.value),
        f"{each.known.text(each.random_mean)}{spread}",
        f"{each.beaten} of {len(each.random)}" if each.random[1:] else UNKNOWN,
        each.verdict,
    ]
