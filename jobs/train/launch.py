"""One training run from the driver's side: skip finished work, check the cluster, start, watch."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from ray.exceptions import RayActorError

from jobs.cluster.start import in_thread
from jobs.train.best import write_summaries
from jobs.train.held_out import HeldOutLosses
from jobs.train.interruption import stop_after_step
from jobs.train.loop import LoopOutcome, run_loop, worker_main
from jobs.train.loss_curve import stored_curve
from jobs.train.placement import Placement, plan_trainings
from jobs.train.step_log import REMOTE_SECONDS, StepLog
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.loss_lines import LoggedLine
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.diffusion.workers import Workers
from otcondense.errors import InputError, storage_fault
from otcondense.store import hash8
from otcondense.threads import one_thread_on
from pipeline.cluster_config import ANY_CLUSTER
from pipeline.room import cluster_gpus

OnLine = Callable[[LoggedLine], None]
"""Receives each new line of the log of a running training."""
EXCHANGE_SECONDS = 1800
"""How long a worker waits for the others. One of a machine may write 42 GB of training data for all
of them first, or draw a grid."""
START_TIMED_OUT = "WorkerGroupStartupTimeoutError"
NO_GPU = (
    "requires at least one CUDA device",
    "no GPUs found",
    "No CUDA GPUs are available",
    "Found no NVIDIA driver",
    "driver on your system is too old",
)
"""Words of torch and NCCL where a worker cannot use its GPU; the group of workers fails to start
before any code of ours runs in them."""
POLL_SECONDS = 0.5
"""Time between two looks at the log: often enough for a progress bar."""


@dataclass(frozen=True)
class TrainingResult:
    """The result of one start of a training run."""

    directory: str
    checkpoints: dict[int, str]
    """Directory of the checkpoint of each kept step."""
    resumed_from: int | None
    """Step of the checkpoint that it resumed from; None if nothing was left to do."""
    seconds: float


def train(
    job: TrainJob, on_line: OnLine | None = None, placement: Placement | None = None
) -> TrainingResult:
    """Train one model on one subset; Ray must be running, unless `num_workers` is 0.

    Checkpoints of the same configuration are recomputed if the images have changed since.

    Args:
        job: the training run.
        on_line: called with each new line of the log, from another thread.
        placement: the workers; by default as many as fit now.

    Raises: InputError if the images are not of the announced shape, the cluster cannot place the
        workers, the directory has another configuration, or the loss diverges.
    """
    started = time.perf_counter()
    config = job.config
    checkpoints = {step: checkpoint_directory(job.directory, step) for step in config.kept_steps}
    job.clear_outdated()
    if not job.missing_steps():
        restore_summaries(job)
        return TrainingResult(job.directory, checkpoints, None, time.perf_counter() - started)

    job.check_data()  # before any worker starts
    with _watching(job, on_line):
        if config.num_workers == 0:
            outcome = _fit_here(job)
        else:
            outcome = _fit_by_workers(job, placement or _place(config))
    if outcome.diverged:
        raise InputError(
            f"training in {job.store.path(job.directory)} stopped: {outcome.diverged}; "
            "the last good checkpoint is kept; lower learning_rate or set grad_clip"
        )
    seconds = time.perf_counter() - started
    return TrainingResult(job.directory, checkpoints, outcome.resumed_from, seconds)


def restore_summaries(job: TrainJob) -> None:
    """Write the loss curve and the best checkpoint of a finished training if they are missing."""
    held_out = HeldOutLosses.of(job)
    write_summaries(job, stored_curve(job), None if held_out is None else held_out.losses)


def _place(config: TrainingConfig) -> Placement:
    return plan_trainings([config], ANY_CLUSTER).placements[0]


def _fit_here(job: TrainJob) -> LoopOutcome:
    """Train in this process, without Ray Train.

    Ray Tune would take the reports of Ray Train's workers for the reports of a sweep's trial.
    """
    device = _device_here(job.config, cluster_gpus())
    with one_thread_on(device), stop_after_step() as stop:
        return run_loop(job, Workers(device=device), stop)


def _device_here(config: TrainingConfig, gpus: float) -> str:
    """Return the device of a training in this process.

    Args:
        config: settings.
        gpus: GPUs of the cluster that this process is connected to.

    Raises: InputError if there is no GPU here, and the settings ask for one or the cluster has one.
    """
    if config.device == "cpu":
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    if config.device == "cuda" or gpus:
        raise InputError(
            f"device={config.device} needs a GPU in the process that trains (num_workers=0), found "
            f"none; the cluster has {gpus:g}; leave num_workers out to train there, or set "
            "device=cpu"
        )
    return "cpu"


def _fit_by_workers(job: TrainJob, placement: Placement) -> LoopOutcome:
    from ray.train import FailureConfig, RunConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    config = job.config.model_copy(update={"num_workers": placement.num_workers})
    # Ray gives each worker another working directory, so a relative root must be made absolute.
    root = str(Path(job.store.path()).absolute()) if job.store.is_local else job.store_root
    trainer = TorchTrainer(
        worker_main,  # type: ignore[arg-type]  # Ray annotates a function without a result
        train_loop_config=dict(replace(job, store_root=root, config=config).settings()),
        scaling_config=placement.scaling_config,
        torch_config=TorchConfig(
            backend="nccl" if placement.use_gpu else "gloo", timeout_s=EXCHANGE_SECONDS
        ),
        run_config=RunConfig(
            # A new name each time: our checkpoints decide where to resume, not Ray's record.
            name=f"ray-train-{hash8([job.directory, time.time_ns()])}",
            storage_path=_logs_path(job),
            failure_config=FailureConfig(
                max_failures=job.config.max_failures,
                controller_failure_limit=placement.failed_starts,  # type: ignore[call-arg]  # of v2
            ),
        ),
    )
    try:
        result = in_thread(trainer.fit)
    except TrainingFailedError as error:
        found = _cause(error, placement)
        if found is error:
            raise
        raise found from error
    except RayActorError as error:
        # No retry here: the resources of its workers stay taken until this driver ends, unless the
        # cluster has a dashboard.
        reason = str(error).strip().splitlines()[0]
        raise InputError(
            f"Ray Train's controller of {job.store.path(job.directory)} died: {reason} "
            "Run the same command again to resume from the newest checkpoint"
        ) from error
    # Ray annotates `fit` with the older result, which has no such field.
    outcome: dict[str, Any] = result.return_value  # type: ignore[attr-defined]
    return LoopOutcome(**outcome)


def _logs_path(job: TrainJob) -> str:
    """Return the directory of Ray's own record of the run, as an absolute path or a URI."""
    name = f"logs/{job.directory}"
    if job.store.is_local:
        return str(Path(job.store.path(name)).absolute())
    return f"{job.store.root.rstrip('/')}/{name}"


def _cause(error: Exception, placement: Placement) -> Exception:
    """Return the user's mistake or the storage fault that made a run fail, else the failure."""
    # Ray's own type is in a private module.
    if type(getattr(error, "controller_failure", None)).__name__ == START_TIMED_OUT:
        return InputError(
            f"lost workers could not be replaced within {placement.failed_starts} min: training "
            f"needs {placement.demand} (cluster.wait_minutes); run the same command again to "
            "resume from the newest checkpoint"
        )
    if placement.use_gpu and any(words in str(error) for words in NO_GPU):
        reason = str(error).strip().splitlines()[-1]
        return InputError(
            f"the cluster gave training a GPU for each worker, and torch cannot use it ({reason}); "
            "check the node (`otcondense doctor`), or set device=cpu for the training"
        )
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        for candidate in (failure, getattr(failure, "cause", None), failure.__cause__):
            if isinstance(candidate, InputError):
                return candidate
        if (fault := storage_fault(failure)) is not None:
            return fault
    return error


@contextmanager
def _watching(job: TrainJob, on_line: OnLine | None) -> Iterator[None]:
    """Call `on_line` with each new line of the log while the block runs."""
    if on_line is None:
        yield
        return
    log = StepLog(job.store, job.directory)
    done = threading.Event()
    pause = POLL_SECONDS if job.store.is_local else REMOTE_SECONDS

    def watch() -> None:
        while not done.wait(pause):
            for line in log.new_lines():
                on_line(line)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    for line in log.new_lines():
        on_line(line)
