"""The tables of benchmarks/README.md show the results that are there."""

import pytest

from benchmarks.run_all import BENCHMARKS
from benchmarks.tables import README, ROWS, read_results, tables, with_tables

RESULTS = read_results()
WITH_OWN_TABLES = {"outliers"}
"""Benchmarks whose tables are in docs."""


def names_of(benchmark):
    rows = ROWS[benchmark]
    return {name for row in rows for name in f"{row.ours} {row.yardstick} {row.ratio}".split()}


def test_the_tables_are_those_of_the_results() -> None:
    text = README.read_text(encoding="utf-8")
    assert with_tables(text, RESULTS) == text, "python -m benchmarks.run_all --tables"


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: result.benchmark)
def test_every_bound_is_in_a_row(result) -> None:
    assert set(result.bounds) <= names_of(result.benchmark)


@pytest.mark.parametrize("benchmark", sorted({result.benchmark for result in RESULTS}))
def test_every_row_names_a_figure_that_is_measured(benchmark) -> None:
    measured = set()
    for result in RESULTS:
        if result.benchmark == benchmark:
            measured |= set(result.figures)
    assert names_of(benchmark) <= measured


@pytest.mark.parametrize("benchmark", sorted({*BENCHMARKS, "scale", "gpu_all"} - WITH_OWN_TABLES))
def test_every_benchmark_has_rows(benchmark) -> None:
    assert ROWS[benchmark]


def test_a_missed_bound_is_named_first_and_in_its_row() -> None:
    result = next(result for result in RESULTS if result.benchmark == "saving")
    missed = result.model_copy(update={"bounds": {"stall_share": {"at_most": 0.01}}})
    first, _, rest = tables([missed]).partition("## Selection")
    assert "stands still" in first
    assert "asked is at most 0.01" in first
    assert "ratio at most 0.01: **missed**" in rest
    assert "**missed**" not in tables([result])
