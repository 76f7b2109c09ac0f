"""What one trial does, in a process that Ray Tune starts."""

from typing import Any

from ray import tune

from jobs.command.settings import set_value
from jobs.evaluate.stage import evaluate, read_metrics, read_subset_quality
from jobs.run_directory.config import RunConfig
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
from otcondense.store import fingerprint


def run_trial(
    values: Values, *, config: dict[str, Any], base: dict[str, Any], inputs: dict[str, str]
) -> None:
    """Do one trial, or tell Ray Tune again what an earlier start found, and keep its record.

    Args:
        values: of the trial, by the names of the space; those of a grid or random search under `values`.
        config: the sweep's configuration.
        base: the configuration that trials vary.
        inputs: digest of what a trial is made from, by the directory of its features.
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
        # Nothing is raised: Ray Tune would start the trial again, and the same mistake would be found.
        records.write(
            record.model_copy(update={"state": "failed", "message": str(error), "rungs": ()})
        )


def trial_fingerprint(sweep: Sweep, trial: Trial, inputs: dict[str, str]) -> str:
    """Return the fingerprint of all that a trial's figures come from."""
    return fingerprint(
        [
            sweep.config.kind,
            trial.key,
            inputs[trial.run.features_directory(trial.run.config.encoder)],
        ]
    )


def _work(sweep: Sweep, trial: Trial, record: Record, records: Records) -> None:
    select_subset(trial.run)
    for stage in stages_of(trial.run.config):
        if stage.name in TRAINING_INPUTS:
            stage.run(trial.run)
    rungs: tuple[Rung, ...] = ()
    for step in _steps(sweep, trial):
        metrics = (
            measure_subset(trial.run, reference_file(sweep))
            if step == 0
            else _measure_model(sweep, trial, step)
        )
        rungs = (*rungs, Rung(step=step, metrics=metrics))
        last = step == _steps(sweep, trial)[-1]
        # The record comes first: a trial that dies while it reports is not done again.
        records.write(
            record.model_copy(
                update={"state": "finished" if last else "running", "rungs": rungs, "message": ""}
            )
        )
        _report(rungs[-1])


def _steps(sweep: Sweep, trial: Trial) -> tuple[int, ...]:
    """Return the checkpoints at which a trial is measured; 0 alone for the subset itself."""
    if sweep.config.kind == "subset":
        return (0,)
    (model,) = trial.run.config.models.values()
    return model.training.kept_steps


def _measure_model(sweep: Sweep, trial: Trial, step: int) -> dict[str, float]:
    """Return the figures of one checkpoint.

    Where a trial may be stopped early, it is trained up to that checkpoint and goes on from there with the next; else it is trained to its end
    at once, since every start of Ray Train takes as long as many steps.
    """
    run = _up_to(trial.run, step) if sweep.config.stop_early else trial.run
    train(run)
    sample(run)
    evaluate(run)
    (row,) = [row for row in read_metrics(run) if row["step"] == step]
    assert sweep.config.metric in row["values"], (
        f"{sweep.config.metric} is no figure of a full trial"
    )
    (quality,) = read_subset_quality(run).values()
    subset = {f"subset_{name}": quality[name] for name in SUBSET_METRICS}
    return {**row["values"], **subset, "num_training": row["num_training"]}


def _up_to(run: Run, step: int) -> Run:
    """Return a run whose training ends at `step`; its directories are those of the whole one."""
    plain = run.config.model_dump(mode="json", exclude_unset=True)
    (name,) = run.config.models
    kept = [each for each in run.config.models[name].training.kept_steps if each <= step]
    set_value(plain, f"models.{name}.training.num_steps", step)
    set_value(plain, f"models.{name}.training.checkpoint_steps", kept)
    return Run(RunConfig.model_validate(plain))


def _report(rung: Rung) -> None:
    tune.report({**rung.metrics, "step": rung.step})
