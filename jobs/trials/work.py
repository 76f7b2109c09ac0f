"""The work of one trial, in a process that Ray Tune starts."""

from typing import Any

from ray import tune

from jobs.command.settings import set_value
from jobs.evaluate.stage import evaluate
from jobs.run_directory.config import RunConfig
from jobs.run_directory.results import read_metrics, read_subset_quality
from jobs.run_directory.run import Run
from jobs.run_directory.stages import TRAINING_INPUTS, stages_of
from jobs.sample.stage import sample
from jobs.select_subset.stage import select_subset
from jobs.train.stage import train
from jobs.trials.config import SUBSET_METRICS, SweepConfig
from jobs.trials.records import Record, Records, Rung
from jobs.trials.reference import measure_subset, reference_file
from jobs.trials.trial import Sweep, Trial, Values
from otcondense.errors import InputError
from otcondense.evaluation.registry import SUBSET_PREFIX
from otcondense.store import fingerprint


def run_trial(
    values: Values, *, config: dict[str, Any], base: dict[str, Any], inputs: dict[str, str]
) -> None:
    """Run one trial and write its record; a finished trial only reports its metrics again.

    Args:
        values: of the trial, by the names of the space; those of a grid or random search are under
            `values`.
        config: the configuration of the sweep.
        base: the configuration that trials vary.
        inputs: digest of the inputs of a trial, by the name of its view of features.
    """
    sweep = Sweep(SweepConfig.model_validate(config), RunConfig.model_validate(base))
    trial = sweep.trial(values.get("values", values))
    records = Records(root=sweep.run.store.root, directory=sweep.directory)
    expected = trial_fingerprint(sweep, trial, inputs)
    record = records.read(trial.key, expected) or Record(
        key=trial.key, fingerprint=expected, values=trial.values
    )
    if record.is_settled:
        for rung in record.rungs:
            _report(rung)
        return

    try:
        _work(sweep, trial, record, records)
    except InputError as error:
        # Raising would make Ray Tune retry the trial, with the same mistake.
        failed = {"state": "failed", "message": str(error), "rungs": ()}
        records.write(record.model_copy(update=failed))


def trial_fingerprint(sweep: Sweep, trial: Trial, inputs: dict[str, str]) -> str:
    """Return the fingerprint of all inputs of the metrics of a trial."""
    features = inputs[trial.run.features_view().name]
    return fingerprint([sweep.config.kind, trial.key, features])


def _work(sweep: Sweep, trial: Trial, record: Record, records: Records) -> None:
    select_subset(trial.run)
    for stage in stages_of(trial.run.config):
        if stage.name in TRAINING_INPUTS:
            stage.run(trial.run)

    rungs: tuple[Rung, ...] = ()
    steps = _steps(sweep, trial)
    for step in steps:
        rung = Rung(step=step, metrics=_measure(sweep, trial, step))
        rungs = (*rungs, rung)
        state = "finished" if step == steps[-1] else "running"
        # The record comes first: a trial that dies while it reports is not run again.
        records.write(record.model_copy(update={"state": state, "rungs": rungs, "message": ""}))
        _report(rung)


def _steps(sweep: Sweep, trial: Trial) -> tuple[int, ...]:
    """Return the checkpoints at which a trial is measured; only 0 for the subset itself."""
    if sweep.config.kind == "subset":
        return (0,)
    (model,) = trial.run.config.models.values()
    return model.training.kept_steps


def _measure(sweep: Sweep, trial: Trial, step: int) -> dict[str, float]:
    if step == 0:
        return measure_subset(trial.run, reference_file(sweep))
    return _measure_model(sweep, trial, step)


def _measure_model(sweep: Sweep, trial: Trial, step: int) -> dict[str, float]:
    """Return the metrics of one checkpoint.

    A trial that may stop early is trained up to that checkpoint and resumes from it for the next.
    Any other trial is trained to its end at once, since a start of Ray Train costs many steps.

    Raises: InputError if the metric of the sweep has no value.
    """
    run = _up_to(trial.run, step) if sweep.config.stop_early else trial.run
    train(run)
    sample(run)
    evaluate(run, apart=trial.key)

    (record,) = [row.record for row in read_metrics(run) if row.step == step]
    metric = sweep.config.metric
    if metric not in record.values:
        raise InputError(
            f"{metric} has no value for {record.num_samples} samples of a model trained on "
            f"{record.num_training} images; choose another metric"
        )
    (quality,) = read_subset_quality(run).values()
    subset = {f"{SUBSET_PREFIX}{name}": quality.values[name] for name in SUBSET_METRICS}
    num_training = float(record.num_training or 0)
    return {**record.values, **subset, "num_training": num_training}


def _up_to(run: Run, step: int) -> Run:
    """Return a run whose training ends at `step`, in the directories of the whole run."""
    plain = run.config.model_dump(mode="json", exclude_unset=True)
    (name,) = run.config.models
    kept = [each for each in run.config.models[name].training.kept_steps if each <= step]
    set_value(plain, f"models.{name}.training.num_steps", step)
    set_value(plain, f"models.{name}.training.checkpoint_steps", kept)
    weak = run.config.models[name].sampling.autoguidance
    if weak is not None and step <= weak.checkpoint_step:
        set_value(plain, f"models.{name}.sampling.autoguidance", None)
    return Run(RunConfig.model_validate(plain))


def _report(rung: Rung) -> None:
    tune.report({**rung.metrics, "step": rung.step})
