"""The sweep on Ray Tune: which trials are left, who runs when, what becomes of those that fail."""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.schedulers import ASHAScheduler

from jobs.cluster.start import in_thread
from jobs.command.progress import Progress
from jobs.trials.loggers import log_callbacks
from jobs.trials.records import Record, Records
from jobs.trials.resources import concurrent_trials, trial_resources
from jobs.trials.searches import optuna_search
from jobs.trials.trial import Sweep, Trial, Values, describe
from jobs.trials.work import run_trial, trial_fingerprint
from otcondense.store import UnitProgress, fingerprint

TUNE_VARIABLES = {
    # A trial that ends by a mistake of the user's has nothing to report.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # The progress bar here says what Ray Tune's tables would.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Paths of the configuration mean the same to a trial as to the driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class Keeper(tune.Callback):
    """Keeps the records and the progress of trials that Ray Tune ends: stopped by the scheduler, or dead."""

    def __init__(self, sweep: Sweep, inputs: dict[str, str], progress: Progress) -> None:
        self._sweep, self._inputs, self._progress = sweep, inputs, progress
        self._records = Records(root=sweep.run.store.root, directory=sweep.directory)
        self._seen: dict[str, UnitProgress] = {}
        self.errors: dict[str, str] = {}

    def begin(self, units: Sequence[UnitProgress]) -> None:
        """Show the trials that are known beforehand."""
        self._seen = {unit.name: unit for unit in units}
        self._progress.follow(list(self._seen.values()))

    def on_trial_start(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **_: Any
    ) -> None:  # noqa: ARG002
        """Show that a trial runs."""
        self._change(self._of(trial), {"state": "running"})

    def on_trial_complete(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **_: Any
    ) -> None:  # noqa: ARG002
        """Note that the scheduler ended a trial whose record says that it is running."""
        ours = self._of(trial)
        record = self._read(ours)
        if record is None:
            record = self._fail(ours, "it ended without leaving a record in the run's directory")
        if record.state == "running":
            self._records.write(record.model_copy(update={"state": "stopped"}))
        if record.state == "failed":
            self._change(ours, {"state": "failed", "message": record.message})
        else:
            self._change(ours, {"state": "done"})

    def on_trial_error(
        self, iteration: int, trials: list[TuneTrial], trial: TuneTrial, **_: Any
    ) -> None:  # noqa: ARG002
        """Record why a trial failed, where it could not do so itself."""
        ours = self._of(trial)
        record = self._read(ours)
        if record is None or record.state != "failed":
            text = (trial.error_file and Path(trial.error_file).read_text()) or "its process died"
            record = self._fail(ours, [line for line in text.splitlines() if line.strip()][-1])
        self._change(ours, {"state": "failed", "message": record.message})

    def _fail(self, trial: Trial, reason: str) -> Record:
        """Record that a trial failed, with what it measured before if anything, and return the record."""
        new = Record(
            key=trial.key,
            fingerprint=trial_fingerprint(self._sweep, trial, self._inputs),
            values=trial.values,
        )
        record = (self._read(trial) or new).model_copy(
            update={"state": "failed", "message": reason}
        )
        self._records.write(record)
        return record

    def _of(self, trial: TuneTrial) -> Trial:
        return self._sweep.trial(trial.config.get("values", trial.config))

    def _read(self, trial: Trial) -> Record | None:
        return self._records.read(trial.key, trial_fingerprint(self._sweep, trial, self._inputs))

    def _change(self, trial: Trial, changes: dict[str, Any]) -> None:
        name = describe(trial.values)
        if name not in self._seen:
            self.begin([*self._seen.values(), UnitProgress(name=name)])
        self._seen[name] = self._seen[name].model_copy(update=changes)
        self._progress.change(name, changes)


def run_trials(
    sweep: Sweep, open_trials: Sequence[Trial], settled: Sequence[Record], inputs: dict[str, str]
) -> None:
    """Run the trials that are left; those that fail are recorded and the others go on.

    Args:
        sweep: the sweep.
        open_trials: of a grid or random search, what is left of it; empty for optuna, which finds its own.
        settled: records of earlier starts. Where trials are stopped early, or a search learns, Ray Tune is told of them again.
        inputs: digest of what a trial is made from, by the directory of its features.

    Raises: InputError if the cluster cannot hold one trial, or an extra is missing.
    """
    os.environ.update(TUNE_VARIABLES)
    # A trial whose process died is started again; one that fails for good has a record with its message.
    logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)
    config, cluster = sweep.config, ray.cluster_resources()
    resources = trial_resources(sweep, cluster)
    at_once = concurrent_trials(resources, cluster, config.max_concurrent)
    scheduler = _scheduler(sweep)
    replayed = [record.values for record in settled] if scheduler is not None else []
    space, search, count = _search(
        sweep, [*replayed, *(trial.values for trial in open_trials)], settled
    )
    with Progress(
        sweep.run.store, f"sweep-{config.name}", f"sweep {config.name}", "trial"
    ) as progress:
        keeper = Keeper(sweep, inputs, progress)
        keeper.begin(_units(open_trials, settled, replayed))
        tuner = tune.Tuner(
            _trainable(sweep, resources.bundles, inputs),
            param_space=space,
            tune_config=tune.TuneConfig(
                metric=config.metric,
                mode=config.mode,
                search_alg=search,
                scheduler=scheduler,
                num_samples=count,
                reuse_actors=True,
                max_concurrent_trials=at_once,
            ),
            run_config=tune.RunConfig(
                name=f"ray-tune-{fingerprint([sweep.directory, time.time_ns()])[:8]}",
                storage_path=_logs_path(sweep),
                failure_config=tune.FailureConfig(max_failures=config.max_failures),
                callbacks=[keeper, *log_callbacks(config)],
                verbose=0,
            ),
        )
        in_thread(tuner.fit)


def _units(
    open_trials: Sequence[Trial], settled: Sequence[Record], replayed: Sequence[Values]
) -> list[UnitProgress]:
    before = (
        []
        if replayed
        else [UnitProgress(name=describe(record.values), state="skipped") for record in settled]
    )
    return [
        *before,
        *(
            UnitProgress(name=describe(values))
            for values in (*replayed, *(trial.values for trial in open_trials))
        ),
    ]


def _trainable(sweep: Sweep, bundles: list[dict[str, float]], inputs: dict[str, str]) -> Any:
    plain = {
        "config": sweep.config.model_dump(mode="json"),
        "base": sweep.base.model_dump(mode="json", exclude_unset=True)
        | {"run": sweep.run.store.root},
        "inputs": inputs,
    }
    function = tune.with_parameters(run_trial, **plain)
    return tune.with_resources(function, tune.PlacementGroupFactory(bundles))


def _search(
    sweep: Sweep, values: list[Values], settled: Sequence[Record]
) -> tuple[dict[str, Any], Any, int]:
    """Return the space, the search algorithm and the number of samples for Ray Tune."""
    config = sweep.config
    if config.search != "optuna":
        return {"values": tune.grid_search(values)}, None, 1
    assert config.num_trials is not None
    return {}, optuna_search(config, settled), config.num_trials - len(settled)


def _scheduler(sweep: Sweep) -> ASHAScheduler | None:
    config = sweep.config
    if config.kind == "subset" or not config.stop_early:
        return None
    steps = sweep.base.models[config.trained_model(sweep.base)].training.kept_steps
    return ASHAScheduler(
        time_attr="step",
        grace_period=steps[0],
        max_t=steps[-1],
        reduction_factor=config.reduction_factor,
    )


def _logs_path(sweep: Sweep) -> str:
    """Return where Ray Tune keeps its own record and the TensorBoard files; it wants an absolute path or a URI."""
    name = f"logs/{sweep.directory}"
    return (
        sweep.run.store.path(name)
        if sweep.run.store.is_local
        else f"{sweep.run.store.root.rstrip('/')}/{name}"
    )
