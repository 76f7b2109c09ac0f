"""The tables of a comparison as CSV files."""

import csv
import io
import itertools
import math
from collections.abc import Sequence

from jobs.compare.results import Row
from jobs.compare.summary import Cell, Figure
from jobs.trials.config import VARIANT


def rows_as_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV with a column for every name."""
    names = dict.fromkeys(itertools.chain.from_iterable(rows))
    sink = io.StringIO()
    writer = csv.DictWriter(sink, list(names), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue().encode()


def summary_rows(found: Sequence[Cell]) -> list[Row]:
    """Return the tables as rows: means, intervals, ranks and differences in pairs."""
    rows = []
    for cell in found:
        for figure in cell.figures:
            row: Row = {
                "metric": cell.metric,
                "num_images": cell.num_images,
                "guidance": cell.guidance,
                "step": cell.step,
                VARIANT: figure.variant,
                "rank": figure.rank,
                "among_best": figure.among_best,
            }
            row |= {name: _plain(value) for name, value in vars(figure.interval).items()}
            rows.append(row | _difference_columns(figure, cell.metric))
    return rows


def _difference_columns(figure: Figure, metric: str) -> Row:
    names = ("difference", "difference_low", "difference_high", "effect", "p_value")
    found = figure.difference
    if found is None:
        return dict.fromkeys((*names, "seeds_better", "num_pairs"))
    numbers = (found.mean, found.low, found.high, found.effect, found.p_value)
    return {
        **{name: _plain(value) for name, value in zip(names, numbers, strict=True)},
        "seeds_better": figure.seeds_better(metric),
        "num_pairs": found.num_pairs,
    }


def _plain(value: float) -> float | int | None:
    if isinstance(value, int):
        return value
    return None if math.isnan(value) else float(f"{value:.6g}")
