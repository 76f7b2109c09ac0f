"""Write the report of a run, one self-contained HTML file: `otcondense report`."""

from jobs.command.progress import note
from jobs.report.data import collect
from jobs.run_directory.run import REPORT, Run
from otcondense.report import render_report


def report(run: Run) -> None:
    """Write what the run has so far to report.html."""
    run.store.write_bytes(REPORT, render_report(collect(run)).encode())
    note("report", run.store.path(REPORT))
