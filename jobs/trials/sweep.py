"""Run the missing trials of a sweep."""

from collections import Counter
from collections.abc import Sequence

from jobs.cluster.start import start_ray
from jobs.command.progress import note
from jobs.command.wording import earlier_part
from jobs.evaluate.stage import encode_shared
from jobs.extract_features.stage import extract
from jobs.group.stage import group
from jobs.judging.full_images import contents
from jobs.run_directory.run import Run
from jobs.score.stage import score_difficulty
from jobs.trackers.chosen import require
from jobs.trackers.trials import show_trials, trials_shown
from jobs.trials.config import SweepConfig
from jobs.trials.ensembles import evaluating, train_ensembles
from jobs.trials.records import Record, Records, shown_trial
from jobs.trials.reference import write_reference
from jobs.trials.trial import Sweep, Trial
from jobs.trials.tuning import run_trials
from jobs.trials.work import trial_fingerprint
from otcondense.counts import counted
from otcondense.store import fingerprint


def run_sweep(sweep: Sweep) -> list[Record]:
    """Run the trials that are left and return the records of all trials.

    Trackers show each trial when it ends, and those of earlier starts that they do not know.
    """
    check_extras(sweep.config)
    with trials_shown(sweep.base.trackers, sweep.run.store, sweep.title, sweep.directory):
        records = _run_missing(sweep)
        show_trials([shown_trial(record) for record in records])
        return records


def _run_missing(sweep: Sweep) -> list[Record]:
    learns = sweep.config.search == "optuna"
    planned = [] if learns else distinct_trials(sweep)
    inputs = prepare_inputs(sweep, planned)
    records = Records(root=sweep.run.store.root, directory=sweep.directory)
    settled, open_trials = split(sweep, records, planned, inputs)
    left = len(open_trials)
    if learns:
        left = (sweep.config.num_trials or 0) - len(settled)
    note(
        sweep.title,
        counted(left + len(settled), "trial")
        + earlier_part(len(settled), left + len(settled), "trial"),
    )
    if left > 0:
        start_ray()
        others = _run_ensembles(sweep, open_trials, settled, inputs)
        for wave in waves(others) if others or learns else []:
            settled, _ = split(sweep, records, planned, inputs)
            run_trials(sweep, wave, settled, inputs)
    return records.all()


def _run_ensembles(
    sweep: Sweep, open_trials: list[Trial], settled: list[Record], inputs: dict[str, str]
) -> list[Trial]:
    """Run the trials whose models could be trained at once; return the others.

    They have only to evaluate, so that those of one model can run at the same time.
    """
    trained = train_ensembles(sweep, open_trials)
    if trained:
        run_trials(evaluating(sweep), trained, settled, inputs)
    done = {trial.key for trial in trained}
    return [trial for trial in open_trials if trial.key not in done]


def waves(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Return the trials in groups that run one after the other, so that no two train one model.

    Trials that differ in their sampling only share the directory of their training. The first of
    them trains, in the first group; the others find the trained model, each in a later group.
    Without any trial, as for a search that learns, there is one empty group.
    """
    found: list[list[Trial]] = [[]]
    seen: Counter[tuple[str, ...]] = Counter()
    for trial in trials:
        run = trial.run
        trained = tuple(run.training_directory(*each) for each in run.trainings())
        number = seen[trained] if trained else 0
        seen[trained] += 1
        if number == len(found):
            found.append([])
        found[number].append(trial)
    return found


def check_extras(config: SweepConfig) -> None:
    """Refuse a sweep whose optional packages are missing, before anything is computed."""
    if config.search == "optuna":
        require("optuna", "search=optuna")


def distinct_trials(sweep: Sweep) -> list[Trial]:
    """Return the trials of a grid or random search that produce different files.

    Raises: InputError if no run accepts the values of a trial.
    """
    trials = [sweep.trial(values) for values in sweep.planned()]
    distinct = {trial.key: trial for trial in reversed(trials)}
    if len(distinct) < len(trials):
        note(
            sweep.title,
            f"{len(trials) - len(distinct)} combinations equal another one and are skipped",
        )
    return list(reversed(distinct.values()))


def prepare_inputs(sweep: Sweep, planned: list[Trial]) -> dict[str, str]:
    """Extract the features and scores of every trial, and the features of the reference.

    Returns: digest of the inputs of a trial, by the name of its view of features.
    """
    runs: dict[str, Run] = {}
    for run in [trial.run for trial in planned] or [sweep.trial({}).run]:
        kinds = list(run.config.selection.score_kinds())
        key = [run.view_key(), run.confidence_directory(), kinds, run.groups_directory()]
        runs.setdefault(fingerprint(key), run)

    for run in runs.values():
        extract(run)
        score_difficulty(run)
        if run.config.groups is not None:
            group(run)

    if sweep.config.kind == "full":
        encode_shared(next(iter(runs.values())))
    reference = write_reference(sweep)
    inputs: dict[str, str] = {}
    for run in runs.values():
        content = [contents(run, directory) for directory in _input_directories(run)]
        inputs[run.features_view().name] = fingerprint([reference, content])
    return inputs


def _input_directories(run: Run) -> list[str]:
    """Return the directories from which the trials of a run are made, each once."""
    directories = [
        *run.features_view().directories,
        run.features_directory(run.config.judge_or_encoder),
    ]
    confidences = run.confidence_directory()
    if confidences is not None:
        directories.append(confidences)
    return list(dict.fromkeys(directories))


def split(
    sweep: Sweep, records: Records, planned: list[Trial], inputs: dict[str, str]
) -> tuple[list[Record], list[Trial]]:
    """Return the records of trials that need no more work, and the trials that need some."""
    if sweep.config.search == "optuna":
        return _settled(sweep, records, inputs), []
    settled: list[Record] = []
    open_trials: list[Trial] = []
    for trial in planned:
        record = records.read(trial.key, trial_fingerprint(sweep, trial, inputs))
        if record is not None and record.is_settled:
            settled.append(record)
        else:
            open_trials.append(trial)
    return settled, open_trials


def _settled(sweep: Sweep, records: Records, inputs: dict[str, str]) -> list[Record]:
    """Return the records of a search that learns, which has no planned trials."""
    settled: list[Record] = []
    for record in records.all():
        if not record.is_settled:
            continue
        trial = sweep.trial(record.values)
        if record.fingerprint == trial_fingerprint(sweep, trial, inputs):
            settled.append(record)
    return settled
