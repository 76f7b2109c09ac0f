"""The tables of a report: which figure is best, and whether the order of methods depends on the training length."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from otcondense.report.data import MetricRow, SubsetRow

T = TypeVar("T")
SAME_RELATIVE = 1e-6
SAME_ABSOLUTE = 1e-5


@dataclass(frozen=True)
class Metric:
    """How a figure is named, ranked and written."""

    key: str
    label: str
    better: Literal["lower", "higher"]
    digits: int
    meaning: str

    @property
    def arrow(self) -> str:
        """Direction of better."""
        return "↓" if self.better == "lower" else "↑"

    @property
    def direction(self) -> str:
        """Direction of better in words, for screen readers."""
        return f"{self.better} is better"

    def text(self, value: float) -> str:
        return f"{value:.{self.digits}f}"


METRICS = (
    Metric("fid", "FID", "lower", 2, "Fréchet distance of features by torch-fidelity: distance between the samples' and the held-out images' distributions."),
    Metric("frechet_distance", "FD", "lower", 2, "The same distance by our own function, and for subsets without training."),
    Metric("inception_score", "IS", "higher", 2, "Inception Score: confident and varied classes; blind to copying and to variety within a class."),
    Metric("precision", "Precision", "higher", 3, "Share of samples within the held-out images' neighbourhoods: do samples look real?"),
    Metric("recall", "Recall", "higher", 3, "Share of held-out images within the samples' neighbourhoods: is the variety there?"),
    Metric("coverage", "Coverage", "higher", 3, "Share of held-out images with a sample in their neighbourhood; sturdier against outliers than recall."),
    Metric("copy_share", "Copy share", "lower", 3, "Share of samples nearer to a chosen image than to a held-out one, sets of equal size: 0.5 is no copying, 1 is all copies."),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One figure of a table."""

    text: str
    best: bool = False
    spread: str = ""
    """Standard deviation, where known."""


@dataclass(frozen=True)
class Line:
    """One row of a table: a method and its figures."""

    method: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Group:
    """Rows that compete for the best mark."""

    label: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Table:
    """A table of figures with one group for each training length."""

    name: str
    metrics: tuple[Metric, ...]
    groups: tuple[Group, ...]
    provenance: str
    note: str = ""


def metric_tables(rows: Sequence[MetricRow]) -> tuple[Table, ...]:
    """Return one table for each model, its rows grouped by training length, the best figure of each group marked."""
    return tuple(_metric_table(model, [row for row in rows if row.model == model]) for model in _unique(row.model for row in rows))


def _metric_table(model: str, rows: Sequence[MetricRow]) -> Table:
    metrics, note = _known_metrics(rows)
    groups = []
    for steps in sorted({row.steps for row in rows}):
        group = [row for row in rows if row.steps == steps]
        groups.append(Group(f"{steps:,} training steps", _lines(group, metrics)))
    return Table(model, metrics, tuple(groups), _provenance(rows), note)


def subset_table(rows: Sequence[SubsetRow]) -> Table:
    """Return the table of figures without training, grouped by the number of chosen images: only equal sizes compare."""
    metrics = tuple(each for each in METRICS if any(each.key in row.values for row in rows))
    sizes = sorted({row.num_images for row in rows})
    groups = [Group(f"{size:,} chosen images", _lines([row for row in rows if row.num_images == size], metrics)) for size in sizes]
    against = " and ".join(f"{count:,}" for count in sorted({row.num_held_out for row in rows}))
    return Table("Chosen images themselves", metrics, tuple(groups), f"Against {against} held-out images.")


def _known_metrics(rows: Sequence[MetricRow]) -> tuple[tuple[Metric, ...], str]:
    """Leave the FD column out where it only repeats FID, and say so."""
    found = tuple(each for each in METRICS if any(each.key in row.values for row in rows))
    pairs = [(row.values.get("fid"), row.values.get("frechet_distance")) for row in rows]
    if not all(one is not None and two is not None and abs(one - two) <= SAME_ABSOLUTE + SAME_RELATIVE * abs(one) for one, two in pairs):
        return found, ""
    note = (
        "FD, by our own function on the same features, agrees with torch-fidelity's FID in every row to 1e-5 and has no column of its own."
    )
    return tuple(each for each in found if each.key != "frechet_distance"), note


def _lines(rows: Sequence[MetricRow] | Sequence[SubsetRow], metrics: Sequence[Metric]) -> tuple[Line, ...]:
    best = {each.key: _best([row.values[each.key] for row in rows if each.key in row.values], each) for each in metrics}
    return tuple(Line(row.method, tuple(_cell(row, each, best[each.key], len(rows)) for each in metrics)) for row in rows)


def _best(values: Sequence[float], metric: Metric) -> str | None:
    """Return the best value as it is written: what the reader cannot tell apart is equally good."""
    if not values:
        return None
    return metric.text(min(values) if metric.better == "lower" else max(values))


def _cell(row: MetricRow | SubsetRow, metric: Metric, best: str | None, competitors: int) -> Cell:
    if metric.key not in row.values:
        return Cell("n/a")
    text, spread = metric.text(row.values[metric.key]), row.values.get(f"{metric.key}_std")
    return Cell(text, best=competitors > 1 and text == best, spread="" if not spread else metric.text(spread))


def _provenance(rows: Sequence[MetricRow]) -> str:
    found = _unique((row.num_samples, row.num_held_out, row.encoder, row.encoder_sha256) for row in rows)
    parts = [f"{n:,} samples against {m:,} held-out images through {name} (weights {sha[:12]})" for n, m, name, sha in found]
    return "; ".join(parts) + "."


def order_statements(rows: Sequence[MetricRow]) -> tuple[str, ...]:
    """Say for each model whether the order of methods by its first figure changes with the training length."""
    return tuple(_order_statement(model, [row for row in rows if row.model == model]) for model in _unique(row.model for row in rows))


def _order_statement(model: str, rows: Sequence[MetricRow]) -> str:
    lengths = sorted({row.steps for row in rows})
    methods = [name for name in _unique(row.method for row in rows) if {row.steps for row in rows if row.method == name} == set(lengths)]
    if len(lengths) < 2 or len(methods) < 2:
        missing = "one training length" if len(lengths) < 2 else "one method"
        return f"{model}: only {missing} was run, so nothing can be said about it here."
    compared = [each for each in _known_metrics(rows)[0] if all(each.key in row.values for row in rows)]
    if not compared:
        return f"{model}: no figure is known for all rows, so nothing can be said about it here."
    orders = {each.label: [_order(rows, methods, steps, each) for steps in lengths] for each in compared}
    flipped = [label for label, order in orders.items() if len(set(order)) > 1]
    first = compared[0].label
    seen = "; ".join(f"{', '.join(order)} at {steps:,} steps" for order, steps in zip(orders[first], lengths, strict=True))
    verdict = "it did flip here" if first in flipped else "it did not flip here"
    others = [label for label in flipped if label != first]
    rest = f" The order by {_listed(others)} changes too." if others and first in flipped else ""
    rest = f" But the order by {_listed(others)} does change." if others and first not in flipped else rest
    return f"{model}: by {first}, {verdict} (best first: {seen}).{rest}"


def _order(rows: Sequence[MetricRow], methods: Sequence[str], steps: int, metric: Metric) -> tuple[str, ...]:
    sign = 1 if metric.better == "lower" else -1
    value = {row.method: sign * float(metric.text(row.values[metric.key])) for row in rows if row.steps == steps}
    return tuple(sorted(methods, key=lambda name: (value[name], methods.index(name))))


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
