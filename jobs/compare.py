"""Compare selection methods over budgets, training lengths and seeds: `python -m jobs.compare --compare FILE`; run again, it goes on."""

import argparse
from pathlib import Path

from pydantic import ValidationError

from jobs.cli import parser_for, run_verb
from jobs.comparing.config import CompareConfig
from jobs.comparing.page import render_page
from jobs.comparing.summary import Cell, cells, result_rows, rows_as_csv, statements, summary_rows
from jobs.progress import note
from jobs.run_directory import Run
from jobs.settings import build, read_yaml
from jobs.sweep import describe_file, run_sweep
from jobs.sweeping.config import SweepConfig
from jobs.sweeping.records import Record
from jobs.sweeping.trials import Sweep, describe
from otcondense.errors import InputError

PAGE = "report.html"


def compare(run: Run, options: argparse.Namespace) -> None:
    """Run what is left of a comparison, then write its tables and its page."""
    config = build(CompareConfig, read_yaml(options.compare) if options.compare else {}, options.compare or "the defaults")
    sweep = Sweep(sweep_config(config, run), run.config)
    show(config, sweep, run_sweep(sweep), options.output)


def sweep_config(config: CompareConfig, run: Run) -> SweepConfig:
    """Return the sweep that makes a comparison.

    Raises: InputError with the reason if it cannot be.
    """
    try:
        return config.sweep(run.config)
    except ValueError as error:
        raise InputError(f"this comparison cannot be made: {_reason(error)}") from error


def _reason(error: ValueError) -> str:
    return "; ".join(each["msg"] for each in error.errors()) if isinstance(error, ValidationError) else str(error)


def show(config: CompareConfig, sweep: Sweep, records: list[Record], output: str | None) -> None:
    """Write results.csv, summary.csv and the page, and print what can be said."""
    title, store = f"compare {config.name}", sweep.run.store
    failed = [record for record in records if record.state == "failed"]
    for record in failed:
        note("failed", f"{describe(record.values)}: {record.message}")
    rows = result_rows(records)
    if not rows:
        raise InputError(f"no trial of {config.name} was measured, all {len(failed)} failed; see the messages above")
    found = cells(rows, config)
    files = {
        "results.csv": rows_as_csv(rows),
        "summary.csv": rows_as_csv(summary_rows(found)),
        PAGE: render_page(config, sweep, rows, found, len(failed)).encode(),
    }
    for name, data in files.items():
        store.write_bytes(f"{sweep.directory}/{name}", data)
        if output is not None:
            Path(output).mkdir(parents=True, exist_ok=True)
            (Path(output) / name).write_bytes(data)
    print_tables(found)
    for sentence in statements(found, config):
        note(title, sentence)
    note(title, f"{store.path(sweep.directory)}/{PAGE}, results.csv and summary.csv")


def print_tables(found: list[Cell]) -> None:
    """Print mean and interval of every variant, a table for each metric, budget and length."""
    for cell in found:
        print(f"\n{cell.metric}, {cell.num_images:,} images, {cell.step:,} steps")
        for figure in cell.figures:
            interval = figure.interval
            spread = f"[{interval.low:.4g}, {interval.high:.4g}]" if interval.count > 1 else ""
            print(f"{figure.rank:>4}  {figure.variant:<28}{interval.mean:>10.4g}  {spread:<22}{interval.count} seeds")


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = parser_for("compare", __doc__)
    made.add_argument("--compare", help="file that says what to compare, such as jobs/comparisons/demo.yaml; none takes the run's methods")
    made.add_argument("--output", help="directory to write the tables and the page to as well")
    describe_file(made, "--compare", CompareConfig)
    return made


if __name__ == "__main__":
    run_verb(parser(), compare)
