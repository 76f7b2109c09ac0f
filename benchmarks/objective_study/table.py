"""The tables of the study, from its csv file.

`python -m benchmarks.objective_study.table RESULTS.csv`

A difference is variant against default in the same part, class and budget, turned so that more is
better, in units of the standard deviation over random subsets of that class. The score of a pair is
its mean over all judges and measures. p is a two-sided sign-flip test over the pairs, adjusted by
Holm's method over the variants of one set and budget.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float
from scipy.stats import permutation_test

from benchmarks.objective_study.judging import LARGER_IS_BETTER
from benchmarks.objective_study.variants import DEFAULT, RANDOM
from otcondense.shares import percent

ALL = "all"
FACTS = frozenset({"set", "parts", "part", "budget", "variant", "class", "draw", "seconds"})
"""Columns that are no measures."""
RESAMPLES = 9999
"""Sign flips; all of them if there are fewer."""
LEVEL = 0.05

Row = dict[str, str]
Place = tuple[str, str, str]
"""Number of parts, part and class."""


@dataclass(frozen=True)
class Cell:
    """One set and budget: every subset that was judged."""

    classes: dict[str, dict[Place, list[Row]]]
    """Rows by variant and place, one for each draw."""
    pooled: dict[str, dict[Place, list[Row]]]
    """The same for the images of all classes."""
    measures: list[str]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Cell":
        """Sort the rows of one set and budget."""
        cell = cls(defaultdict(dict), defaultdict(dict), _measures(rows))
        for row in rows:
            place = (row["parts"], row["part"], row["class"])
            kind = cell.pooled if row["class"] == ALL else cell.classes
            kind[row["variant"]].setdefault(place, []).append(row)
        return cell

    def differences(self, variant: str) -> Float[np.ndarray, "pairs measures"]:
        """Return how much better a variant is than the default, in standard deviations."""
        found = []
        for place, rows in sorted(self.classes[variant].items()):
            default = self.classes.get(DEFAULT, {}).get(place)
            if default is not None:
                draws = self._values(self.classes[RANDOM][place])
                gain = self._values(rows).mean(axis=0) - self._values(default)[0]
                found.append(gain * self._signs() / np.maximum(draws.std(axis=0, ddof=1), 1e-12))
        return np.array(found)

    def frechet(self, variant: str) -> float:
        """Return the change of the Frechet distance of all classes' images, as a share."""
        shares = []
        for place, rows in self.pooled[variant].items():
            default = self.pooled.get(DEFAULT, {}).get(place)
            for name in self.measures:
                if default is not None and rows[0][name]:
                    own = np.mean([float(row[name]) for row in rows])
                    shares.append(own / float(default[0][name]) - 1)
        return float(np.mean(shares))

    def _values(self, rows: Sequence[Row]) -> Float[np.ndarray, "draws measures"]:
        return np.array([[float(row[name]) for name in self.measures] for row in rows])

    def _signs(self) -> Float[np.ndarray, " measures"]:
        larger = [name.rpartition(".")[2] in LARGER_IS_BETTER for name in self.measures]
        return np.where(larger, 1.0, -1.0)


def _measures(rows: Sequence[Row]) -> list[str]:
    """Return the columns of measures that the set has: judges differ from set to set."""
    first = next(row for row in rows if row["class"] != ALL)
    return [name for name, value in first.items() if name not in FACTS and value]


@dataclass(frozen=True)
class Line:
    """One variant against the default."""

    variant: str
    pairs: int
    score: float
    error: float
    """Standard error of the score over the pairs."""
    p: float
    won: float
    """Share of the pairs with a score above 0."""
    better: int
    """Judges' measures that are better, alone significant."""
    worse: int
    frechet: float
    """Change of the Frechet distance of all classes' images."""


def lines(cell: Cell) -> list[Line]:
    """Return the line of every variant of one set and budget."""
    found = []
    for variant in cell.classes:
        if variant == DEFAULT:
            continue
        gains = cell.differences(variant)
        if len(gains) == 0:
            continue
        scores = gains.mean(axis=1)
        alone = np.array([sign_flip(column) for column in gains.T])
        clear = alone < LEVEL
        found.append(
            Line(
                variant,
                len(scores),
                float(scores.mean()),
                float(scores.std(ddof=1) / np.sqrt(len(scores))),
                sign_flip(scores),
                float((scores > 0).mean()),
                int((clear & (gains.mean(axis=0) > 0)).sum()),
                int((clear & (gains.mean(axis=0) < 0)).sum()),
                cell.frechet(variant),
            )
        )
    return found


def sign_flip(differences: Float[np.ndarray, " pairs"]) -> float:
    """Return the two-sided p of a mean of 0, from flips of the signs."""
    if not np.any(differences):
        return 1.0
    return float(
        permutation_test(
            (differences,),
            np.mean,
            permutation_type="samples",
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(0),
        ).pvalue
    )


def holm(values: Sequence[float]) -> list[float]:
    """Return p adjusted for their number (Holm 1979)."""
    order = np.argsort(values)
    adjusted = np.array(values)[order] * np.arange(len(values), 0, -1)
    result = np.empty(len(values))
    result[order] = np.minimum(1, np.maximum.accumulate(adjusted))
    return [float(value) for value in result]


def tables(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a table in Markdown for each set and budget."""
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row["set"], int(row["budget"])].append(row)
    for (name, budget), group in sorted(groups.items()):
        found = lines(Cell.of(group))
        if found:
            yield f"\n{name}, {budget} a class\n"
            yield "| variant | score | p | pairs won | better, worse | Frechet, all classes |"
            yield "|---|---|---|---|---|---|"
            yield from _lines_of_table(found)


def _lines_of_table(found: Sequence[Line]) -> Iterator[str]:
    tested = [line for line in found if line.variant != RANDOM]
    values = holm([line.p for line in tested])
    adjusted = {line.variant: f"{p:.3f}" for line, p in zip(tested, values, strict=True)}
    for line in sorted(found, key=lambda each: -each.score):
        yield (
            f"| {line.variant} | {line.score:+.2f} ± {line.error:.2f} | "
            f"{adjusted.get(line.variant, '')} | {percent(line.won, 0)} of {line.pairs} | "
            f"{line.better}, {line.worse} | {100 * line.frechet:+.1f} % |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, nargs="+")
    rows: list[Row] = []
    for path in parser.parse_args().results:
        with path.open(encoding="utf-8", newline="") as file:
            rows += csv.DictReader(file)
    print("\n".join(tables(rows)))


if __name__ == "__main__":
    main()
