"""Write the report of a run, one self-contained HTML file: `python -m jobs.report`."""

from jobs.cli import main
from jobs.progress import note
from jobs.report_data import collect
from jobs.run_directory import Run
from otcondense.report import render_report

REPORT = "report.html"


def report(run: Run) -> None:
    """Write what the run has so far to report.html."""
    run.store.write_bytes(REPORT, render_report(collect(run)).encode())
    note("report", run.store.path(REPORT))


if __name__ == "__main__":
    main("report", __doc__, report)
