"""The whole way, stage after stage; finished work is recognised: `python -m jobs.run`."""

import time

from jobs.cli import main
from jobs.evaluate import evaluate, print_table
from jobs.extract_features import extract
from jobs.forecast import forecast_run
from jobs.report import report
from jobs.run_directory import Run
from jobs.sample import sample
from jobs.select_subset import select_subset
from jobs.stage_log import log_stage, print_stages
from jobs.train import train

STAGES = {
    "extract_features": extract,
    "select_subset": select_subset,
    "train": train,
    "sample": sample,
    "evaluate": evaluate,
}


def run_all(run: Run) -> None:
    """Run every stage, then show the metrics, the times and where the report is."""
    for name, stage in STAGES.items():
        started = time.perf_counter()
        stage(run)
        log_stage(run, name, time.perf_counter() - started)
    print_table(run)
    print_stages(run)
    report(run)


if __name__ == "__main__":
    main("run", __doc__, run_all, forecast=forecast_run)
