"""Try many settings and keep the best: `python -m jobs.sweep --sweep FILE`; run again, it goes on where it was."""

import argparse
import textwrap

from pydantic import BaseModel

from jobs.cli import parser_for, run_verb
from jobs.extract_features import extract
from jobs.progress import note
from jobs.ray_env import start_ray
from jobs.run import score_difficulty
from jobs.run_directory import Run
from jobs.settings import build, describe_fields, read_yaml
from jobs.sweeping.config import SweepConfig
from jobs.sweeping.loggers import log_callbacks, require
from jobs.sweeping.page import render_page
from jobs.sweeping.records import Record, Records, write_results
from jobs.sweeping.reference import contents, write_reference
from jobs.sweeping.trials import Sweep, Trial, describe
from jobs.sweeping.tuning import run_trials
from jobs.sweeping.work import trial_fingerprint
from otcondense.store import fingerprint

PAGE = "report.html"


def sweep_settings(run: Run, options: argparse.Namespace) -> None:
    """Run what is left of a sweep, then write its results."""
    sweep = Sweep(build(SweepConfig, read_yaml(options.sweep), options.sweep), run.config)
    show(sweep, run_sweep(sweep))


def run_sweep(sweep: Sweep) -> list[Record]:
    """Run what is left of a sweep and return the records of all its trials."""
    check_extras(sweep.config)
    planned = distinct_trials(sweep) if sweep.config.search != "optuna" else []
    inputs = prepare_inputs(sweep, planned)
    records = Records(root=sweep.run.store.root, directory=sweep.directory)
    settled, open_trials = split(sweep, records, planned, inputs)
    left = len(open_trials) if sweep.config.search != "optuna" else (sweep.config.num_trials or 0) - len(settled)
    note(f"sweep {sweep.config.name}", f"{left + len(settled)} trials, {len(settled)} of them finished before")
    if left > 0:
        start_ray()
        run_trials(sweep, open_trials, settled, inputs)
    return records.all()


def check_extras(config: SweepConfig) -> None:
    """Refuse a sweep whose optional packages are missing, before anything is computed."""
    log_callbacks(config)
    if config.search == "optuna":
        require("optuna", "search=optuna")


def distinct_trials(sweep: Sweep) -> list[Trial]:
    """Return the trials of a grid or random search that make different things.

    Raises: InputError if the values of one cannot be.
    """
    trials = [sweep.trial(values) for values in sweep.planned()]
    distinct = {trial.key: trial for trial in reversed(trials)}
    if len(distinct) < len(trials):
        note(f"sweep {sweep.config.name}", f"{len(trials) - len(distinct)} combinations make the same as another and are left out")
    return list(reversed(distinct.values()))


def prepare_inputs(sweep: Sweep, planned: list[Trial]) -> dict[str, str]:
    """Extract the features and scores of every trial, and the features that subsets are compared with.

    Returns: digest of what a trial is made from, by the directory of its features.
    """
    runs: dict[str, Run] = {}
    for run in [trial.run for trial in planned] or [sweep.trial({}).run]:
        kinds = list(run.config.selection.score_kinds())
        runs.setdefault(fingerprint([run.features_key(run.config.encoder), run.confidence_directory(), kinds]), run)
    for run in runs.values():
        extract(run)
        score_difficulty(run)
    reference = write_reference(sweep)
    inputs = {}
    for run in runs.values():
        judge, confidences = run.features_directory(run.config.judge_or_encoder), run.confidence_directory()
        directory = run.features_directory(run.config.encoder)
        content = [contents(run, each) for each in dict.fromkeys([directory, judge, confidences]) if each is not None]
        inputs[directory] = fingerprint([reference, content])
    return inputs


def split(sweep: Sweep, records: Records, planned: list[Trial], inputs: dict[str, str]) -> tuple[list[Record], list[Trial]]:
    """Return the records of trials that need no more work, and the trials that do."""
    if sweep.config.search == "optuna":
        known = [record for record in records.all() if record.is_settled]
        return [each for each in known if each.fingerprint == trial_fingerprint(sweep, sweep.trial(each.values), inputs)], []
    settled, open_trials = [], []
    for trial in planned:
        record = records.read(trial.key, trial_fingerprint(sweep, trial, inputs))
        if record is not None and record.is_settled:
            settled.append(record)
        else:
            open_trials.append(trial)
    return settled, open_trials


def show(sweep: Sweep, records: list[Record]) -> None:
    """Write the tables and print what failed, the best trial and where everything is."""
    best = write_results(sweep, records)
    title, where = f"sweep {sweep.config.name}", sweep.run.store.path(sweep.directory)
    for record in records:
        if record.state == "failed":
            note("failed", f"{describe(record.values)}: {record.message}")
    sweep.run.store.write_bytes(f"{sweep.directory}/{PAGE}", render_page(sweep, records).encode())
    note(title, f"{where}/{PAGE}, results.csv and results.parquet")
    if best is None:
        note(title, "no trial was measured to its end")
        return
    note("best", f"{describe(best.values)}: {sweep.config.metric} {best.metric(sweep.config.metric):.6g}")
    note("", f"python -m jobs.run --config {where}/best.yaml")


def describe_file(parser: argparse.ArgumentParser, option: str, model: type[BaseModel]) -> None:
    """Add to the help of a verb what the file of one of its options holds, with defaults and meanings."""
    lines, group = [f"fields of the file of {option}, with their defaults:"], ""
    for name, default, meaning in describe_fields(model):
        outer = name.split(".")[0]
        if outer not in (name, group):  # what holds fields of its own has a meaning too
            lines += _field(f"{outer}.NAME", "", model.model_fields[outer].description or "")
        lines += _field(name, f"  [{default}]", meaning)
        group = outer
    parser.formatter_class, parser.epilog = argparse.RawDescriptionHelpFormatter, "\n".join(lines)


def _field(name: str, default: str, meaning: str) -> list[str]:
    return [f"  {name}{default}", *textwrap.wrap(" ".join(meaning.split()), 110, initial_indent=" " * 6, subsequent_indent=" " * 6)]


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    made = parser_for("sweep", __doc__)
    made.add_argument("--sweep", required=True, help="file that says what to vary, such as jobs/sweeps/demo.yaml")
    describe_file(made, "--sweep", SweepConfig)
    return made


if __name__ == "__main__":
    run_verb(parser(), sweep_settings)
