"""Running the missing trials of a sweep."""

from jobs.cluster.start import start_ray
from jobs.command.progress import note
from jobs.extract_features.stage import extract
from jobs.run_directory.run import Run
from jobs.score.stage import score_difficulty
from jobs.trials.config import SweepConfig
from jobs.trials.loggers import log_callbacks, require
from jobs.trials.records import Record, Records
from jobs.trials.reference import contents, write_reference
from jobs.trials.trial import Sweep, Trial
from jobs.trials.tuning import run_trials
from jobs.trials.work import trial_fingerprint
from otcondense.store import fingerprint


def run_sweep(sweep: Sweep) -> list[Record]:
    """Run what is left of a sweep and return the records of all its trials."""
    check_extras(sweep.config)
    planned = distinct_trials(sweep) if sweep.config.search != "optuna" else []
    inputs = prepare_inputs(sweep, planned)
    records = Records(root=sweep.run.store.root, directory=sweep.directory)
    settled, open_trials = split(sweep, records, planned, inputs)
    left = (
        len(open_trials)
        if sweep.config.search != "optuna"
        else (sweep.config.num_trials or 0) - len(settled)
    )
    note(
        f"sweep {sweep.config.name}",
        f"{left + len(settled)} trials, {len(settled)} of them finished before",
    )
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
        note(
            f"sweep {sweep.config.name}",
            f"{len(trials) - len(distinct)} combinations make the same as another and are left out",
        )
    return list(reversed(distinct.values()))


def prepare_inputs(sweep: Sweep, planned: list[Trial]) -> dict[str, str]:
    """Extract the features and scores of every trial, and the features that subsets are compared with.

    Returns: digest of what a trial is made from, by the directory of its features.
    """
    runs: dict[str, Run] = {}
    for run in [trial.run for trial in planned] or [sweep.trial({}).run]:
        kinds = list(run.config.selection.score_kinds())
        runs.setdefault(
            fingerprint([run.features_key(run.config.encoder), run.confidence_directory(), kinds]),
            run,
        )
    for run in runs.values():
        extract(run)
        score_difficulty(run)
    reference = write_reference(sweep)
    inputs = {}
    for run in runs.values():
        judge, confidences = (
            run.features_directory(run.config.judge_or_encoder),
            run.confidence_directory(),
        )
        directory = run.features_directory(run.config.encoder)
        content = [
            contents(run, each)
            for each in dict.fromkeys([directory, judge, confidences])
            if each is not None
        ]
        inputs[directory] = fingerprint([reference, content])
    return inputs


def split(
    sweep: Sweep, records: Records, planned: list[Trial], inputs: dict[str, str]
) -> tuple[list[Record], list[Trial]]:
    """Return the records of trials that need no more work, and the trials that do."""
    if sweep.config.search == "optuna":
        known = [record for record in records.all() if record.is_settled]
        return [
            each
            for each in known
            if each.fingerprint == trial_fingerprint(sweep, sweep.trial(each.values), inputs)
        ], []
    settled, open_trials = [], []
    for trial in planned:
        record = records.read(trial.key, trial_fingerprint(sweep, trial, inputs))
        if record is not None and record.is_settled:
            settled.append(record)
        else:
            open_trials.append(trial)
    return settled, open_trials
