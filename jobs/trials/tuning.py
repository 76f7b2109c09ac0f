"""Run the trials of a sweep with Ray Tune; failed ones are recorded and the others continue."""

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial as TuneTrial
from ray.tune.logger import TBXLoggerCallback
from ray.tune.schedulers import ASHAScheduler

from jobs.cluster.start import in_thread
from jobs.command.progress import Progress, note
from jobs.trackers.trials import show_trials
from jobs.trials.records import Record, Records, shown_trial
from jobs.trials.resources import concurrent_trials, fitted, trial_resources, with_counts
from jobs.trials.searches import optuna_search
from jobs.trials.trial import Sweep, Trial, Values, describe
from jobs.trials.work import run_trial, trial_fingerprint
from otcondense.store import UnitProgress, hash8
from pipeline.room import bundles_for, known_gpus

TUNE_VARIABLES = {
    # A trial that ends because of a user's mistake reports no metric.
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    # Our progress bar replaces Ray Tune's tables.
    "RAY_AIR_NEW_OUTPUT": "0",
    # Relative paths mean the same in a trial as in the driver.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


class TrialRecorder(tune.Callback):
    """Records and shows how trials end, also those that the scheduler stops or that die."""

    def __init__(self, sweep: Sweep, inputs: dict[str, str], progress: Progress) -> None:
        self._sweep, self._inputs, self._progress = sweep, inputs, progress
        self._records = Records(root=sweep.run.store.root, directory=sweep.directory)
        self._seen: dict[str, UnitProgress] = {}

    def begin(self, units: Sequence[UnitProgress]) -> None:
        """Show the trials that are known at the start."""
        self._seen = {unit.name: unit for unit in units}
        self._progress.follow(list(self._seen.values()))

    def on_trial_start(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[TuneTrial],  # noqa: ARG002
        trial: TuneTrial,
        **_: Any,
    ) -> None:
        """Show that a trial runs."""
        self._change(self._of(trial), {"state": "running"})

    def on_trial_complete(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[TuneTrial],  # noqa: ARG002
        trial: TuneTrial,
        **_: Any,
    ) -> None:
        """Record that a trial ended; if its record says running, the scheduler stopped it."""
        ours = self._of(trial)
        record = self._read(ours)
        if record is None:
            record = self._fail(ours, "it ended without a record in the run directory")
        if record.state == "running":
            record = record.model_copy(update={"state": "stopped"})
            self._records.write(record)
        show_trials([shown_trial(record)])
        if record.state == "failed":
            self._change(ours, {"state": "failed", "message": record.message})
        else:
            self._change(ours, {"state": "done"})

    def on_trial_error(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[TuneTrial],  # noqa: ARG002
        trial: TuneTrial,
        **_: Any,
    ) -> None:
        """Record why a trial failed, if it could not do so itself."""
        ours = self._of(trial)
        record = self._read(ours)
        if record is None or record.state != "failed":
            record = self._fail(ours, _last_line(trial))
        show_trials([shown_trial(record)])
        self._change(ours, {"state": "failed", "message": record.message})

    def _fail(self, trial: Trial, reason: str) -> Record:
        """Record that a trial failed, keep its measurements, and return the record."""
        new = Record(
            key=trial.key,
            fingerprint=trial_fingerprint(self._sweep, trial, self._inputs),
            values=trial.values,
        )
        changes = {"state": "failed", "message": reason}
        record = (self._read(trial) or new).model_copy(update=changes)
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


def _last_line(trial: TuneTrial) -> str:
    """Return the last line of the error of a trial, which names it."""
    text = Path(trial.error_file).read_text() if trial.error_file else ""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "its process died"


def run_trials(
    sweep: Sweep, open_trials: Sequence[Trial], settled: Sequence[Record], inputs: dict[str, str]
) -> None:
    """Run the trials that are left; failed ones are recorded and the others continue.

    Args:
        sweep: the sweep.
        open_trials: the trials of a grid or random search that are left; empty for optuna, which
            proposes its own.
        settled: records of earlier starts. Early stopping and a search that learns need them, so
            they are reported to Ray Tune again.
        inputs: digest of the inputs of a trial, by the directory of its features.

    Raises: InputError if the cluster cannot hold one trial, or an optional package is missing.
    """
    os.environ.update(TUNE_VARIABLES)
    # Ray Tune would log each failure; the record of a failed trial has its message.
    logging.getLogger("ray.tune.execution.tune_controller").setLevel(logging.CRITICAL)
    config = sweep.config
    settings = sweep.base.cluster
    known = {"GPU": float(known_gpus(settings))}
    sweep = replace(sweep, base=with_counts(sweep.base, known))
    resources = trial_resources(sweep, known)
    needed = [*resources.bundles, *resources.training]
    cluster = bundles_for(needed, settings, sweep.title)
    smaller = fitted(sweep, cluster)
    if smaller is not sweep:
        note(sweep.title, "the workers of a trial do not fit the cluster: it is one process")
        sweep, config = smaller, smaller.config
        resources = trial_resources(sweep, known)
    at_once = concurrent_trials(resources, cluster, config.max_concurrent)
    scheduler = _scheduler(sweep)
    replayed = [record.values for record in settled] if scheduler is not None else []
    values = [*replayed, *(trial.values for trial in open_trials)]
    search = _search(sweep, values, settled)
    key = f"{sweep.verb}-{config.name}"
    with Progress(sweep.run.store, key, sweep.title, "trial") as progress:
        recorder = TrialRecorder(sweep, inputs, progress)
        recorder.begin(_units(values, [] if replayed else settled))
        tuner = tune.Tuner(
            _trainable(sweep, resources.bundles, inputs),
            param_space=search.space,
            tune_config=tune.TuneConfig(
                metric=config.metric,
                mode=config.mode,
                search_alg=search.algorithm,
                scheduler=scheduler,
                num_samples=search.count,
                reuse_actors=True,
                max_concurrent_trials=at_once,
            ),
            run_config=_run_config(sweep, recorder),
        )
        in_thread(tuner.fit)


def _run_config(sweep: Sweep, recorder: TrialRecorder) -> tune.RunConfig:
    config = sweep.config
    return tune.RunConfig(
        name=f"ray-tune-{hash8([sweep.directory, time.time_ns()])}",
        storage_path=_logs_path(sweep),
        failure_config=tune.FailureConfig(max_failures=config.max_failures),
        callbacks=[recorder, TBXLoggerCallback()],  # type: ignore[no-untyped-call]
        verbose=0,
    )


def _units(values: Sequence[Values], skipped: Sequence[Record]) -> list[UnitProgress]:
    """Return the progress of the skipped trials, then of those that run."""
    units = [UnitProgress(name=describe(record.values), state="skipped") for record in skipped]
    units += [UnitProgress(name=describe(each)) for each in values]
    return units


def _trainable(sweep: Sweep, bundles: list[dict[str, float]], inputs: dict[str, str]) -> Any:
    base = sweep.base.model_dump(mode="json", exclude_unset=True)
    base["run"] = sweep.run.store.root
    function = tune.with_parameters(
        run_trial, config=sweep.config.model_dump(mode="json"), base=base, inputs=inputs
    )
    return tune.with_resources(function, tune.PlacementGroupFactory(bundles))


@dataclass(frozen=True)
class _Search:
    """How Ray Tune finds the trials."""

    space: dict[str, Any]
    algorithm: Any
    """Ray Tune's search algorithm; None for a fixed list of trials."""
    count: int
    """Trials for each point of the space."""


def _search(sweep: Sweep, values: list[Values], settled: Sequence[Record]) -> _Search:
    config = sweep.config
    if config.search != "optuna":
        return _Search({"values": tune.grid_search(values)}, None, 1)
    assert config.num_trials is not None
    return _Search({}, optuna_search(config, settled), config.num_trials - len(settled))


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
    """Return the directory of Ray Tune's own state and the TensorBoard files.

    Ray Tune needs an absolute path or a URI.
    """
    name = f"logs/{sweep.directory}"
    store = sweep.run.store
    return store.path(name) if store.is_local else f"{store.root.rstrip('/')}/{name}"
