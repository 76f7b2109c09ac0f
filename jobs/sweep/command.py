"""Try many settings and keep the best; finished trials are skipped."""

from jobs.command.progress import note
from jobs.command.settings import build
from jobs.command.yaml_files import read_yaml
from jobs.run_directory.run import Run
from jobs.sweep.page import render_page
from jobs.trials.config import SweepConfig
from jobs.trials.records import Record, write_results
from jobs.trials.sweep import run_sweep
from jobs.trials.trial import Sweep, describe

PAGE = "report.html"


def sweep_settings(run: Run, sweep_file: str) -> None:
    """Run the missing trials of a sweep, then write its results."""
    sweep = Sweep(build(SweepConfig, read_yaml(sweep_file, "sweep"), sweep_file), run.config)
    show(sweep, run_sweep(sweep))


def show(sweep: Sweep, records: list[Record]) -> None:
    """Write the tables and the page; print failures, the best trial and the directory."""
    best = write_results(sweep, records)
    title = sweep.title
    where = sweep.run.store.path(sweep.directory)
    for record in records:
        if record.state == "failed":
            note("failed", f"{describe(record.values)}: {record.message}")
    sweep.run.store.write_bytes(f"{sweep.directory}/{PAGE}", render_page(sweep, records).encode())
    note(title, f"{where}/{PAGE}, results.csv and results.parquet")
    if best is None:
        note(title, "no trial finished")
        return
    note(
        "best",
        f"{describe(best.values)}: {sweep.config.metric} {best.metric(sweep.config.metric):.6g}",
    )
    note("", f"otcondense run --config {where}/best.yaml")
