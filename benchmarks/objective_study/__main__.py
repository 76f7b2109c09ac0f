"""Is there a better objective than the paper's? Subsets of each variant, judged without training.

`python -m benchmarks.objective_study FEATURES JUDGES OUTPUT --name SET` adds rows to the csv file
OUTPUT, a row for each part of the source, class, budget and variant. Rows that are there are not
computed again. `python -m benchmarks.objective_study.table OUTPUT` makes the tables.

FEATURES and JUDGES are described in `data.load_set`.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from benchmarks.objective_study.data import StudySet, load_set
from benchmarks.objective_study.judging import Judging
from benchmarks.objective_study.variants import (
    RANDOM,
    VARIANTS,
    ClassData,
    Rows,
    choose,
    random_rows,
)

BUDGETS = (10, 30, 100)
DRAWS = 10
"""Random subsets of each class: their spread is the unit of the differences."""
ALL = "all"
"""Class of the rows about the images of all classes."""
Key = tuple[str, ...]
KEY = ("set", "parts", "part", "budget", "variant")


def main() -> None:
    """Judge every variant on every part that is not in the file yet."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("features", type=Path)
    parser.add_argument("judges", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--name", required=True, help="name of the set in the file")
    parser.add_argument("--parts", type=int, default=2, help="disjoint parts of the source")
    parser.add_argument("--used", type=int, help="parts that are used, all by default")
    parser.add_argument("--budgets", type=int, nargs="+", default=BUDGETS)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    data = load_set(arguments.features, arguments.judges)
    judging = Judging(data)
    done = _done(arguments.output)
    for variant in [RANDOM, *arguments.variants]:
        parts = islice(data.parts(arguments.parts), arguments.used)
        for number, part in enumerate(parts):
            for budget in arguments.budgets:
                key = (arguments.name, str(arguments.parts), str(number), str(budget), variant)
                if key in done:
                    continue
                rows = list(_rows(data, judging, part, budget, variant))
                _append(arguments.output, [dict(zip(KEY, key, strict=True)) | row for row in rows])
                print(*key, *(f"{name}={value}" for name, value in rows[-1].items()), flush=True)


def _rows(
    data: StudySet, judging: Judging, part: dict[int, Rows], budget: int, variant: str
) -> Iterator[dict[str, str]]:
    """Yield a row for each class, then one for all classes; of random, for each draw."""
    classes = {
        label: ClassData(data.features[rows], data.entropy[rows], [f"{row:08}" for row in rows])
        for label, rows in part.items()
    }
    for draw in range(DRAWS if variant == RANDOM else 1):
        started = time.perf_counter()
        if variant == RANDOM:
            chosen = random_rows(classes, budget, draw)
        else:
            chosen = choose(VARIANTS[variant], classes, budget)
        seconds = time.perf_counter() - started
        subsets = {label: part[label][places] for label, places in chosen.items()}
        for label, subset in subsets.items():
            yield _row(str(label), draw, seconds / len(subsets), judging.of_class(label, subset))
        everything = np.concatenate(list(subsets.values()))
        yield _row(ALL, draw, seconds, judging.of_all(everything))


def _row(label: str, draw: int, seconds: float, measures: dict[str, float]) -> dict[str, str]:
    found = {"class": label, "draw": str(draw), "seconds": f"{seconds:.2f}"}
    return found | {name: f"{value:.6g}" for name, value in measures.items()}


def _done(path: Path) -> set[Key]:
    if not path.exists():
        return set()
    with path.open(encoding="utf-8", newline="") as file:
        return {
            tuple(row[name] for name in KEY) for row in csv.DictReader(file) if row["class"] == ALL
        }


def _append(path: Path, rows: list[dict[str, str]]) -> None:
    """Add rows; the columns are those of the first row of the file."""
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        if is_new:
            names = list(rows[0])
        else:
            with path.open(encoding="utf-8", newline="") as before:
                names = next(csv.reader(before))
        writer = csv.DictWriter(file, names, lineterminator="\n")
        if is_new:
            writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
