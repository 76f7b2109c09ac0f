"""Try many settings and keep the best; finished trials are skipped."""

from jobs.command.progress import note
from jobs.command.settings import build
from jobs.command.yaml_files import read_yaml
from jobs.run_directory.run import Run
from jobs.sweep.page import render_page
from jobs.sweep.repeats import Repeated, best_two, repeat_best
from jobs.trials.config import SweepConfig
from jobs.trials.records import Record, write_results
from jobs.trials.sweep import run_sweep
from jobs.trials.trial import Sweep, describe

PAGE = "report.html"


def sweep_settings(run: Run, sweep_file: str) -> None:
    """Run the missing trials of a sweep, repeat the best two, then write the results."""
    note_loggers(sweep_file)
    sweep = Sweep(read_sweep(sweep_file), run.config)
    records = run_sweep(sweep)
    write_results(sweep, records)  # before the repeats, so that an interruption keeps them
    show(sweep, records, repeat_best(sweep, records))


def read_sweep(sweep_file: str) -> SweepConfig:
    """Return what to try.

    Raises: InputError for a file that cannot be used.
    """
    return build(SweepConfig, read_yaml(sweep_file, "sweep"), sweep_file)


def note_loggers(sweep_file: str) -> None:
    """Say what has taken the place of `loggers` if an older file names some."""
    if read_yaml(sweep_file, "sweep").get("loggers"):
        note(
            "sweep",
            f"{sweep_file}: loggers is passed over; trackers of the run's configuration show each "
            "trial now, as with trackers.wandb.project=NAME (docs/neighbours)",
        )


def show(sweep: Sweep, records: list[Record], repeated: Repeated | None) -> None:
    """Write the tables and the page; print failures, the best trial and the directory."""
    best = write_results(sweep, records)
    title = sweep.title
    where = sweep.run.store.path(sweep.directory)
    for record in records:
        if record.state == "failed":
            note("failed", f"{describe(record.values)}: {record.message}")
    page = render_page(sweep, records, repeated)
    sweep.run.store.write_bytes(f"{sweep.directory}/{PAGE}", page.encode())
    note(title, f"{where}/{PAGE}, results.csv and results.parquet")
    if best is None:
        note(title, "no trial finished")
        return
    metric = sweep.config.metric
    note("best", f"{describe(best.values)}: {metric} {best.metric(metric):.6g}")
    if repeated is not None:
        note("best, repeated", repeated.words)
    elif len(best_two(sweep, records)) > 1:
        note("best, repeated", "not repeated, so the noise is unknown")
    note("", f"otcondense run --config {where}/best.yaml")
