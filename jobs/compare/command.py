"""Compare selection methods over budgets, training lengths and seeds; finished trials are skipped.

`otcondense compare --compare FILE`
"""

from pydantic import ValidationError

from jobs.command.mistakes import sentences
from jobs.command.progress import note
from jobs.command.settings import build
from jobs.command.yaml_files import read_yaml
from jobs.compare.config import CompareConfig
from jobs.compare.drawing import drawings
from jobs.compare.overview import overview_text, overviews
from jobs.compare.page import render_page
from jobs.compare.results import result_rows, variants_of
from jobs.compare.statements import statements
from jobs.compare.summary import cells, unmeasured
from jobs.compare.tables import rows_as_csv, summary_rows
from jobs.run_directory.run import Run
from jobs.trials.config import SweepConfig
from jobs.trials.records import Record
from jobs.trials.sweep import run_sweep
from jobs.trials.trial import Sweep, describe
from otcondense.errors import InputError
from otcondense.store import Store

PAGE = "report.html"


def compare(run: Run, compare_file: str | None, output: str | None) -> None:
    """Run the missing trials of a comparison, then write its tables and its page.

    Args:
        run: the run that all trials share.
        compare_file: what to compare; None compares the methods of the run.
        output: second directory for the tables and the page.
    """
    config = comparison(compare_file)
    sweep = Sweep(sweep_config(config, run), run.config, verb="compare")
    show(config, sweep, run_sweep(sweep), output)


def comparison(compare_file: str | None) -> CompareConfig:
    """Return what to compare.

    Raises: InputError for a file that cannot be used.
    """
    values = read_yaml(compare_file, "comparison") if compare_file is not None else {}
    return build(CompareConfig, values, compare_file or "the defaults")


def sweep_config(config: CompareConfig, run: Run) -> SweepConfig:
    """Return the sweep that makes a comparison.

    Raises: InputError with the reason if the comparison is invalid.
    """
    try:
        return config.sweep(run.config)
    except ValidationError as error:
        reason = sentences(error.errors(), SweepConfig, None)
        raise InputError(f"this comparison is invalid: {reason}") from error
    except ValueError as error:
        raise InputError(f"this comparison is invalid: {error}") from error


def show(config: CompareConfig, sweep: Sweep, records: list[Record], output: str | None) -> None:
    """Write results.csv, summary.csv, figures and the page; print overviews and statements."""
    failed = [record for record in records if record.state == "failed"]
    for record in failed:
        note("failed", f"{describe(record.values)}: {record.message}")
    rows = result_rows(records, sweep)
    if not rows:
        raise InputError(
            f"no trial of {config.name} was measured, all {len(failed)} failed; "
            "see the messages above"
        )

    found = cells(rows, config)
    files = {
        "results.csv": rows_as_csv(rows),
        "summary.csv": rows_as_csv(summary_rows(found)),
        PAGE: render_page(config, sweep, rows, found, len(failed)).encode(),
        **drawings(found, config, variants_of(rows, sweep)),
    }
    store = sweep.run.store
    for name, data in files.items():
        store.write_bytes(f"{sweep.directory}/{name}", data)
    if output is not None:
        for name, data in files.items():
            Store(output).write_bytes(name, data)

    for overview in overviews(found, config):
        print(f"\n{overview_text(overview)}")
    title = sweep.title
    for sentence in statements(found, config):
        note(title, sentence)
    for metric in unmeasured(found, config):
        note(title, f"{metric} has no table: no trial measured it")
    note(title, f"{store.path(sweep.directory)}/{PAGE}, results.csv, summary.csv and figures/")
