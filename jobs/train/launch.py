"""One training run on Ray Train, from the driver's side: recognise finished work, check the cluster, start, watch, report."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import RayActorError

from jobs.cluster.start import in_thread
from jobs.command.progress import note
from jobs.train.job import TrainJob
from jobs.train.loop import run_loop, worker_main
from jobs.train.loss_curve import write_summaries
from jobs.train.worker import Workers
from otcondense.diffusion.checkpoint import checkpoint_directory, latest_checkpoint
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError, storage_fault
from otcondense.store import Store, hash8
from otcondense.threads import one_thread_on

Progress = Callable[[dict[str, Any]], None]
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class TrainingResult:
    """What a training run left behind."""

    directory: str
    checkpoints: dict[int, str]
    """Directory of the checkpoint of each kept step."""
    resumed_from: int | None
    """Step of the checkpoint that the last start went on from; None if nothing was left to do."""
    seconds: float


def train(job: TrainJob, on_progress: Progress | None = None) -> TrainingResult:
    """Train one model on one image file; Ray must be running already, unless `num_workers` is 0.

    Checkpoints of the same configuration on images that have changed since are made anew.

    Args:
        job: what to train on, where, and how.
        on_progress: called with each new line of the loss curve, from a thread of its own.

    Raises: InputError if the images are not what was announced, the cluster cannot place the workers, the directory holds
        another configuration, or the loss diverges.
    """
    started, config, directory = time.perf_counter(), job.config, job.directory
    checkpoints = {step: checkpoint_directory(directory, step) for step in config.kept_steps}
    job.clear_outdated()
    if not job.missing_steps():
        mend_summaries(job)
        return TrainingResult(directory, checkpoints, None, time.perf_counter() - started)
    job.check_data()  # a mistake in them is told here, before any worker starts
    fit = _fit_by_workers if config.num_workers else _fit_here
    with _watching(job, on_progress):
        outcome = fit(job)
    if outcome["diverged"]:
        raise InputError(
            f"training in {job.store.path(directory)} stopped: {outcome['diverged']}; the last good checkpoint is kept; "
            "lower learning_rate or set grad_clip"
        )
    return TrainingResult(
        directory, checkpoints, outcome["resumed_from"], time.perf_counter() - started
    )


def mend_summaries(job: TrainJob) -> None:
    """Write the loss curve of a finished training, and which checkpoint is best, again if they are missing or damaged."""
    newest = latest_checkpoint(job.store, job.directory)
    assert newest is not None, "a finished training has checkpoints"
    write_summaries(job, newest.state["curve"])


def place(config: TrainingConfig, resources: dict[str, float]) -> bool:
    """Return whether to use GPUs, given what the cluster has.

    Raises: InputError if the workers can never be placed, so that nobody waits for them.
    """
    gpus, cpus = int(resources.get("GPU", 0)), int(resources.get("CPU", 0))
    use_gpu = config.device == "cuda" or (config.device == "auto" and gpus >= config.num_workers)
    kind, available = ("GPU", gpus) if use_gpu else ("CPU", cpus)
    if available < config.num_workers:
        raise InputError(
            f"num_workers={config.num_workers} need one {kind} each, the cluster has {available}; "
            f"set num_workers to at most {max(1, available)} or add nodes"
        )
    if gpus and not use_gpu and config.device == "auto":
        note(
            "train",
            f"on CPUs: num_workers={config.num_workers} would need one GPU each, the cluster has {gpus}; fewer workers would use them",
        )
    return use_gpu


def _fit_here(job: TrainJob) -> dict[str, Any]:
    """Train in this process, without Ray Train: in a trial of a sweep its reports would be taken for the trial's."""
    device = "cuda" if job.config.device != "cpu" and torch.cuda.is_available() else "cpu"
    if job.config.device == "cuda" and device == "cpu":
        raise InputError(
            "device=cuda needs a GPU in the process that trains, found none; set device=auto, or num_workers to train elsewhere"
        )
    with one_thread_on(device):
        return run_loop(job, Workers(device=device))


def _fit_by_workers(job: TrainJob) -> dict[str, Any]:
    from ray.train import FailureConfig, RunConfig, ScalingConfig, TrainingFailedError
    from ray.train.torch import TorchConfig, TorchTrainer

    use_gpu = place(job.config, ray.cluster_resources())
    # Ray gives each worker a working directory of its own, so a relative root would be another place there.
    root = str(Path(job.store.path()).absolute()) if job.store.is_local else job.store_root
    settings = {**job.settings(), "store_root": root}
    trainer = TorchTrainer(
        worker_main,
        train_loop_config=settings,
        scaling_config=ScalingConfig(
            num_workers=job.config.num_workers,
            use_gpu=use_gpu,
            resources_per_worker=None if use_gpu else {"CPU": 1},
        ),
        torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
        run_config=RunConfig(
            # A name of its own each time: what to resume from is decided by our checkpoints, not by Ray's record of the run.
            name=f"ray-train-{hash8([job.directory, time.time_ns()])}",
            storage_path=_logs_path(job),
            failure_config=FailureConfig(max_failures=job.config.max_failures),
        ),
    )
    try:
        result = in_thread(trainer.fit)
    except TrainingFailedError as error:
        raise _cause(error) from error
    except RayActorError as error:
        # Not started again from here: what its workers held stays taken until this driver ends, unless the cluster has a dashboard.
        raise InputError(
            f"Ray Train's controller of {job.store.path(job.directory)} died: {str(error).strip().splitlines()[0]} "
            "The same command goes on from the newest checkpoint"
        ) from error
    return dict(result.return_value)


def _logs_path(job: TrainJob) -> str:
    """Return where Ray keeps its own record of the run; it wants an absolute path or a URI."""
    name = f"logs/{job.directory}"
    return (
        str(Path(job.store.path(name)).absolute())
        if job.store.is_local
        else f"{job.store.root.rstrip('/')}/{name}"
    )


def _cause(error: Exception) -> Exception:
    """Return the user's mistake or the storage's fault behind a failed run if there is one, else the failure itself."""
    failures = getattr(error, "worker_failures", {})
    for failure in failures.values():
        for candidate in (failure, getattr(failure, "cause", None), failure.__cause__):
            if isinstance(candidate, InputError):
                return candidate
        if (fault := storage_fault(failure)) is not None:
            return fault
    return error


@contextmanager
def _watching(job: TrainJob, on_progress: Progress | None) -> Iterator[None]:
    """Hand each new line of the step log to `on_progress` while the block runs."""
    if on_progress is None:
        yield
        return
    log = StepLog(job.store, f"logs/{job.directory}/steps.jsonl")
    done = threading.Event()

    def watch() -> None:
        while not done.wait(POLL_SECONDS):
            for line in log.new_lines():
                on_progress(line)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
    for line in log.new_lines():
        on_progress(line)


class StepLog:
    """The lines that were added to a log since it was last looked at."""

    def __init__(self, store: Store, name: str) -> None:
        self._store, self._name = store, name
        self._seen = len(store.read_lines(name))

    def new_lines(self) -> list[dict[str, Any]]:
        """Return the new lines, decoded."""
        lines = self._store.read_lines(self._name)
        new, self._seen = lines[self._seen :], len(lines)
        return new
