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
    floor: float | None = None
    """Where lower is better: values below are as good as this one."""

    @property
    def arrow(self) -> str:
        """Direction of better."""
        return "↓" if self.better == "lower" else "↑"

    @property
    def direction(self) -> str:
        """Direction of better in words, for screen readers."""
        return f"{self.better} is better"

    def rank(self, value: float) -> float:
        """Return what values are compared by, smaller is better; what looks equal in the table is equal."""
        shown = float(self.text(value if self.floor is None else max(value, self.floor)))
        return shown if self.better == "lower" else -shown

    def text(self, value: float) -> str:
        """Return the value as it stands in a table."""
        return f"{value:.{self.digits}f}"


METRICS = (
    Metric("fid", "FID", "lower", 2, "Fréchet distance of features by torch-fidelity: distance between the samples' and the held-out images' distributions."),
    Metric("frechet_distance", "FD", "lower", 2, "Fréchet distance of features by our own function; for subsets without training too."),
    Metric("cmmd", "CMMD", "lower", 3, "Kernel distance of unit vectors: no assumption of normality, and unbiased for few images."),
    Metric("inception_score", "IS", "higher", 2, "Inception Score: confident and varied classes; blind to copying and to variety within a class."),
    Metric("precision", "Precision", "higher", 3, "Share of samples within the held-out images' neighbourhoods: do samples look real?"),
    Metric("recall", "Recall", "higher", 3, "Share of held-out images within the samples' neighbourhoods: is the variety there?"),
    Metric("coverage", "Coverage", "higher", 3, "Share of held-out images with a sample in their neighbourhood; sturdier against outliers than recall."),
    Metric("duplicate_share", "Duplicates", "lower", 3, "Share of chosen images with a near duplicate among the chosen."),
    Metric("leakage_share", "Leakage", "lower", 3, "Share of chosen images with a near duplicate among the held-out images: then figures flatter."),
    Metric("adm_fid", "FID (ADM)", "lower", 2, "FID by ADM's protocol, against its reference statistics: the figure that papers on ImageNet print."),
    Metric("adm_sfid", "sFID (ADM)", "lower", 2, "The same on spatial features: do layouts look real?"),
    Metric("adm_inception_score", "IS (ADM)", "higher", 1, "Inception Score over parts of 5,000 in file order, by ADM's protocol."),
    Metric("adm_precision", "Prec. (ADM)", "higher", 2, "Precision by ADM's protocol; in half precision where the configuration says so."),
    Metric("adm_recall", "Rec. (ADM)", "higher", 2, "Recall by ADM's protocol."),
)  # fmt: skip
"""How good samples are, or subsets themselves."""

COPYING = (
    Metric("copy_share", "Copy share", "lower", 3, "Share of samples nearer to a chosen image than to a held-out one, sets of equal size: 0.5 is no copying, 1 is all copies.", 0.5),
    Metric("near_copy_share", "Near copies", "lower", 3, "Share of samples whose nearest chosen image is nearer than a third of the second nearest: single images come back."),
    Metric("copy_distance_ratio", "Distance ratio", "higher", 3, "Median of the distance to the nearest chosen over that to the nearest held-out image; below 1 leans towards the chosen."),
    Metric("authenticity", "Authentic", "higher", 3, "Share of samples that are farther from their nearest chosen image than that is from its own nearest neighbour."),
    Metric("copying_test", "C_T", "higher", 1, "Standard errors by which samples are farther from the chosen images than held-out images are; far below 0 is copying."),
)  # fmt: skip
"""Whether samples are copies of the chosen images."""


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


def metric_tables(
    rows: Sequence[MetricRow], metrics: Sequence[Metric] = METRICS
) -> tuple[Table, ...]:
    """Return one table of some metrics for each model, its rows grouped by training length, the best figure of each group marked."""
    by_model = {
        model: [row for row in rows if row.model == model]
        for model in _unique(row.model for row in rows)
    }
    tables = (_metric_table(model, own, metrics) for model, own in by_model.items())
    return tuple(table for table in tables if table.metrics)


def _metric_table(model: str, rows: Sequence[MetricRow], wanted: Sequence[Metric]) -> Table:
    metrics, note = _known_metrics(rows, wanted)
    groups = []
    for steps in sorted({row.steps for row in rows}):
        group = [row for row in rows if row.steps == steps]
        groups.append(Group(f"{steps:,} training steps", _lines(group, metrics)))
    return Table(model, metrics, tuple(groups), _provenance(rows), note)


def subset_table(rows: Sequence[SubsetRow]) -> Table:
    """Return the table of figures without training, grouped by the number of chosen images: only equal sizes compare."""
    metrics = tuple(each for each in METRICS if any(each.key in row.values for row in rows))
    sizes = sorted({row.num_images for row in rows})
    groups = [
        Group(
            f"{size:,} chosen images",
            _lines([row for row in rows if row.num_images == size], metrics),
        )
        for size in sizes
    ]
    against = " and ".join(f"{count:,}" for count in sorted({row.num_held_out for row in rows}))
    return Table(
        "Chosen images themselves", metrics, tuple(groups), f"Against {against} held-out images."
    )


def _known_metrics(
    rows: Sequence[MetricRow], wanted: Sequence[Metric]
) -> tuple[tuple[Metric, ...], str]:
    """Leave the FD column out where it only repeats FID, and say so."""
    found = tuple(each for each in wanted if any(each.key in row.values for row in rows))
    if wanted is not METRICS:
        return found, ""
    pairs = [(row.values.get("fid"), row.values.get("frechet_distance")) for row in rows]
    if not all(
        one is not None
        and two is not None
        and abs(one - two) <= SAME_ABSOLUTE + SAME_RELATIVE * abs(one)
        for one, two in pairs
    ):
        return found, ""
    note = "FD, by our own function on the same features, agrees with torch-fidelity's FID in every row to 1e-5 and has no column of its own."
    return tuple(each for each in found if each.key != "frechet_distance"), note


def _lines(
    rows: Sequence[MetricRow] | Sequence[SubsetRow], metrics: Sequence[Metric]
) -> tuple[Line, ...]:
    best = {
        each.key: _best([row.values[each.key] for row in rows if each.key in row.values], each)
        for each in metrics
    }
    return tuple(
        Line(row.method, tuple(_cell(row, each, best[each.key], len(rows)) for each in metrics))
        for row in rows
    )


def _best(values: Sequence[float], metric: Metric) -> float | None:
    return min((metric.rank(value) for value in values), default=None)


def _cell(row: MetricRow | SubsetRow, metric: Metric, best: float | None, competitors: int) -> Cell:
    value = row.values.get(metric.key)
    if value is None:
        return Cell("n/a")
    spread = row.values.get(f"{metric.key}_std")
    is_best = competitors > 1 and metric.rank(value) == best
    return Cell(metric.text(value), best=is_best, spread="" if not spread else metric.text(spread))


def _provenance(rows: Sequence[MetricRow]) -> str:
    found = _unique(
        (row.num_samples, row.num_held_out, row.encoder, row.encoder_sha256) for row in rows
    )
    parts = [
        f"{n:,} samples against {m:,} held-out images through {name} (weights {sha[:12]})"
        for n, m, name, sha in found
    ]
    return "; ".join(parts) + "."


@dataclass(frozen=True)
class OrderStatement:
    """Whether the order of methods changed with the training length, for one model."""

    model: str
    verdict: str
    orders: tuple[tuple[str, str], ...] = ()
    """For each training length, the methods by the first figure, best first, `=` between equals."""


def order_statements(rows: Sequence[MetricRow]) -> tuple[OrderStatement, ...]:
    """Say for each model whether the order of methods changes with the training length."""
    return tuple(
        _order_statement(model, [row for row in rows if row.model == model])
        for model in _unique(row.model for row in rows)
    )


def _order_statement(model: str, rows: Sequence[MetricRow]) -> OrderStatement:
    lengths = sorted({row.steps for row in rows})
    methods = [
        name
        for name in _unique(row.method for row in rows)
        if {row.steps for row in rows if row.method == name} == set(lengths)
    ]
    metrics = [
        each
        for each in (*_known_metrics(rows, METRICS)[0], *COPYING)
        if all(each.key in row.values for row in rows)
    ]
    if len(lengths) < 2 or len(methods) < 2 or not metrics:
        missing = (
            "with one training length"
            if len(lengths) < 2
            else "with one method"
            if len(methods) < 2
            else "without a common figure"
        )
        return OrderStatement(model, f"nothing can be said {missing}.")
    orders = {
        each.label: [_order(rows, methods, steps, each) for steps in lengths] for each in metrics
    }
    flipped = [name for name, order in orders.items() if len(set(order)) > 1]
    first = metrics[0].label
    others = [name for name in flipped if name != first]
    verdict = f"by {first} the order {'did flip here' if first in flipped else 'did not flip here'}"
    rest = (
        f"; {'so did' if first in flipped else 'but'} the order by {_listed(others)}{'' if first in flipped else ' did'}"
        if others
        else ""
    )
    seen = tuple(
        (f"{steps:,} steps", order) for steps, order in zip(lengths, orders[first], strict=True)
    )
    return OrderStatement(model, f"{verdict}{rest}.", seen)


def _order(rows: Sequence[MetricRow], methods: Sequence[str], steps: int, metric: Metric) -> str:
    rank = {
        row.method: metric.rank(row.values[metric.key])
        for row in rows
        if row.steps == steps and row.method in methods
    }
    groups = [
        [name for name in methods if rank[name] == each] for each in sorted(set(rank.values()))
    ]
    return ", ".join(" = ".join(group) for group in groups)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _unique(values: Iterable[T]) -> tuple[T, ...]:
    return tuple(dict.fromkeys(values))
