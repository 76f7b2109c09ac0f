"""The training loop that every worker of Ray Train runs: resume, step, log, write checkpoints."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch

from jobs.train.interruption import never
from jobs.train.loss_curve import Diverged, LossCurve, has_line
from jobs.train.resume import missing_steps, resume
from jobs.train.sample_grid import write_grid
from jobs.train.saves import Saves, saving
from jobs.train.shared import from_first
from otcondense.counts import counted
from otcondense.diffusion.batches import batches
from otcondense.diffusion.checkpoint_files import list_checkpoints
from otcondense.diffusion.forecast import forecast_training
from otcondense.diffusion.train_job import TrainJob, TrainSettings
from otcondense.diffusion.training import Batch, TrainState, create_state, make_batch, train_step
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.diffusion.workers import Workers
from otcondense.errors import InputError
from otcondense.threads import one_thread_on

__all__ = ["LoopOutcome", "TrainJob", "Workers", "run_loop", "worker_main"]

CPU_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")
"""Words in the RuntimeError of the CPU's allocator, which has no error type of its own."""


@dataclass(frozen=True)
class LoopOutcome:
    """How one start of a training ended."""

    resumed_from: int | None
    """Step of the checkpoint it resumed from; 0 for a fresh start, None if nothing was left to
    do."""
    diverged: str | None = None
    """Where the loss stopped being finite; None if it did not."""


def run_loop(job: TrainJob, workers: Workers, stop: Callable[[], bool] = never) -> LoopOutcome:
    """Train from the newest undamaged checkpoint to the last missing one.

    Args:
        job: the training.
        workers: this worker.
        stop: whether to end after this step with a checkpoint; only one worker alone can.

    Raises: InputError if the newest checkpoint in the directory is of another configuration or of
        other images, or the memory does not suffice; KeyboardInterrupt once `stop` says so.
    """
    missing = from_first(workers, lambda: missing_steps(job))
    if not missing:
        return LoopOutcome(resumed_from=None)
    try:
        return _train(job, workers, missing, stop)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        raise InputError(_out_of_memory(job)) from error


def _is_out_of_memory(error: RuntimeError) -> bool:
    if isinstance(error, torch.OutOfMemoryError):
        return True
    return any(words in str(error) for words in CPU_OUT_OF_MEMORY)


def _out_of_memory(job: TrainJob) -> str:
    config = job.config
    share = config.global_batch_size // config.world_size
    found = forecast_training(config, job.num_classes, job.image_shape, job.attachments())
    return (
        f"training {config.model.name} ran out of memory with {share} images on each of "
        f"{counted(config.world_size, 'worker')} in {counted(config.accumulation, 'part')}; "
        f"the forecast is {found.text}; raise accumulation or num_workers, "
        "lower global_batch_size, or set precision=bfloat16; "
        "resident_gb=0 takes the training data off the device"
    )


def _train(
    job: TrainJob, workers: Workers, missing: list[int], stop: Callable[[], bool]
) -> LoopOutcome:
    state = create_state(
        job.config, job.num_classes, job.image_shape, workers.device, job.attachments()
    )
    resumed_from = resume(job, workers, state, missing[0])
    workers.wrap(state)
    try:
        _steps(job, workers, state, missing[-1], stop)
    except Diverged as error:
        return LoopOutcome(resumed_from, diverged=str(error))
    return LoopOutcome(resumed_from)


def _steps(
    job: TrainJob, workers: Workers, state: TrainState, last: int, stop: Callable[[], bool]
) -> None:
    config = job.config
    data = job.load_data(workers.device)
    curve = LossCurve(job, workers, state.step, last)
    parts = workers.world_size * config.accumulation
    own = range(workers.rank * config.accumulation, (workers.rank + 1) * config.accumulation)

    def make(step: int) -> list[Batch]:
        return [make_batch(config, step, data, (part, parts)) for part in own]

    ahead = data.streamed or workers.device != "cpu"
    try:
        with (
            saving(job, workers, state, curve) as saves,
            batches(make, range(state.step, last), workers.device, ahead=ahead) as take,
        ):
            while state.step < last:
                started = time.perf_counter()
                batch = take()
                waited = time.perf_counter() - started
                curve.add(train_step(state, *batch), waited)
                _after_step(saves, last)
                if state.step < last and stop():
                    _leave(saves)
    finally:
        curve.close()


def _after_step(saves: Saves, last: int) -> None:
    job, state = saves.job, saves.state
    step = state.step
    config = job.config
    if has_line(config, step):
        saves.curve.flush(step)
    if _has_checkpoint(config, step):
        saves.start(is_last=step == last)
    # The other workers wait for the grid in their next step; the checkpoint is written meanwhile.
    if config.grid_every and step % config.grid_every == 0 and saves.workers.rank == 0:
        write_grid(job, state)


def _has_checkpoint(config: TrainingConfig, step: int) -> bool:
    return step in config.kept_steps or step % config.checkpoint_every == 0


def _leave(saves: Saves) -> None:
    """Write the checkpoint of this step, and say where the next start goes on.

    With `keep_best=held_out_loss` there is none: it could be taken for the best one.

    Raises: KeyboardInterrupt.
    """
    job, step = saves.job, saves.state.step
    if not _has_checkpoint(job.config, step) and job.config.keep_best != "held_out_loss":
        saves.curve.flush(step)
        saves.start(is_last=False)
    saves.finish()
    newest = max(list_checkpoints(job.store, job.directory), default=0)
    raise KeyboardInterrupt(
        f"the training stopped after step {step:,}, the next start goes on after step {newest:,}"
    )


def worker_main(settings: dict[Any, Any]) -> dict[str, Any]:
    """Train in one worker of Ray Train.

    Args:
        settings: the `TrainSettings` of a `TrainJob`, as Ray Train passes them.

    Returns: the fields of a `LoopOutcome`.
    """
    import ray.train
    import ray.train.torch

    device = str(ray.train.torch.get_device())
    context = ray.train.get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size(), device, ray.train.report)
    with one_thread_on(device):
        return asdict(run_loop(TrainJob.from_settings(cast("TrainSettings", settings)), workers))
