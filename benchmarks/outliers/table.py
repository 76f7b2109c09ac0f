"""The rows of all repeats, and their means with intervals."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import stats

from benchmarks.outliers.choosing import MEASURES

LEVEL = 0.95
"""Of the intervals."""
AGAINST = ("kappa 1", "random")
"""Methods that the others are compared with, in pairs of equal repeats."""


class Choice(NamedTuple):
    """What is chosen of a set."""

    budget: int
    method: str


class Group(NamedTuple):
    """What the rows of all repeats share."""

    set: str
    encoder: str
    images: int
    budget: int
    method: str


@dataclass(frozen=True)
class Row:
    """One method on one repeat of a set."""

    set: str
    encoder: str
    images: int
    """Of each class to choose from; a class can have fewer."""
    budget: int
    method: str
    repeat: int
    outliers: float
    rare: float
    coverage: float
    rare_coverage: float

    @property
    def group(self) -> Group:
        """All but the repeat."""
        return Group(self.set, self.encoder, self.images, self.budget, self.method)


@dataclass(frozen=True)
class Mean:
    """A mean over repeats, and half the width of its 95 % interval (Student's t)."""

    mean: float
    half: float
    """nan for one repeat."""

    @classmethod
    def of(cls, values: Sequence[float]) -> "Mean":
        """Return the mean of independent values."""
        half = float("nan")
        if len(values) > 1:
            error = float(np.std(values, ddof=1)) / np.sqrt(len(values))
            half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
        return cls(float(np.mean(values)), half)


@dataclass(frozen=True)
class Summary:
    """One measure of one method, and its differences from others in pairs of equal repeats."""

    group: Group
    measure: str
    repeats: int
    value: Mean
    differences: dict[str, Mean]
    """From each of `AGAINST`."""


class Table:
    """All rows, kept in `results.csv` of a folder if there is one."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self.rows: list[Row] = []
        if folder is not None and (folder / "results.csv").exists():
            with (folder / "results.csv").open(encoding="utf-8", newline="") as file:
                self.rows = [_row(values) for values in csv.DictReader(file)]

    def missing(
        self, name: str, images: int, wanted: Sequence[Choice], repeat: int
    ) -> list[Choice]:
        """Return those of the wanted choices that a repeat of a set does not have."""
        known = {
            Choice(row.budget, row.method)
            for row in self.rows
            if (row.set, row.images, row.repeat) == (name, images, repeat)
        }
        return [choice for choice in wanted if choice not in known]

    def add(self, rows: list[Row]) -> None:
        """Keep the rows of a whole repeat."""
        self.rows += rows
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            names = [field.name for field in fields(Row)]
            _write(self._folder / "results.csv", names, (asdict(row) for row in self.rows))
            lines = [_line(each) for each in self.summary()]
            _write(self._folder / "summary.csv", list(lines[0]), lines)

    def summary(self) -> list[Summary]:
        """Return each measure of each method, in the order of the rows."""
        groups: dict[Group, dict[int, Row]] = defaultdict(dict)
        for row in self.rows:
            groups[row.group][row.repeat] = row
        found = []
        for group, rows in groups.items():
            others = {each: groups.get(group._replace(method=each), {}) for each in AGAINST}
            for measure in MEASURES:
                value = Mean.of([getattr(row, measure) for row in rows.values()])
                if not np.isnan(value.mean):
                    pairs = {each: _paired(rows, of, measure) for each, of in others.items() if of}
                    found.append(Summary(group, measure, len(rows), value, pairs))
        return found


def _paired(one: dict[int, Row], two: dict[int, Row], measure: str) -> Mean:
    repeats = sorted(one.keys() & two.keys())
    return Mean.of([getattr(one[each], measure) - getattr(two[each], measure) for each in repeats])


def _row(values: dict[str, str]) -> Row:
    measured = {name: float(values[name]) for name in MEASURES}
    return Row(
        values["set"],
        values["encoder"],
        int(values["images"]),
        int(values["budget"]),
        values["method"],
        int(values["repeat"]),
        **measured,
    )


def _line(each: Summary) -> dict[str, object]:
    line: dict[str, object] = {
        **each.group._asdict(),
        "measure": each.measure,
        "repeats": each.repeats,
        "mean": f"{each.value.mean:.4f}",
        "half_interval": f"{each.value.half:.4f}",
    }
    for other in AGAINST:
        pair = each.differences.get(other, Mean(float("nan"), float("nan")))
        line |= {f"minus {other}": f"{pair.mean:.4f}", f"half of it {other}": f"{pair.half:.4f}"}
    return line


def _write(path: Path, names: list[str], lines: Iterable[dict[str, object]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    temporary = path.with_suffix(".part")
    temporary.write_text(text.getvalue(), encoding="utf-8")
    temporary.replace(path)


def print_table(summary: list[Summary]) -> None:
    """Print a Markdown table for each set, encoder and budget."""
    tables: dict[Group, dict[str, dict[str, Mean]]] = defaultdict(dict)
    for each in summary:
        methods = tables[each.group._replace(method="")]
        methods.setdefault(each.group.method, {})[each.measure] = each.value
    for group, methods in tables.items():
        measures = list(next(iter(methods.values())))
        print(f"\n{group.set}, features {group.encoder}, {group.budget} of {group.images}")
        print(f"| method | {' | '.join(measures)} |\n|---|{'---|' * len(measures)}")
        for method, values in methods.items():
            cells = [f"{values[each].mean:.3f} ± {values[each].half:.3f}" for each in measures]
            print(f"| {method} | {' | '.join(cells)} |")


def figures(summary: list[Summary]) -> dict[str, float]:
    """Return the means by a name for each."""
    named = {}
    for each in summary:
        group = each.group
        sizes = f"{group.budget}_of_{group.images}"
        parts = (group.set, group.encoder, sizes, group.method, each.measure)
        named["_".join(re.sub(r"[^a-z0-9.]+", "_", part) for part in parts)] = each.value.mean
    return named
