"""The training loop that every worker of Ray Train runs: resume, step, log, write checkpoints."""

import time
from dataclasses import asdict, dataclass
from typing import Any, cast

import torch

from jobs.train.job import TrainJob, TrainSettings
from jobs.train.loss_curve import Diverged, LossCurve, has_line
from jobs.train.resume import missing_steps, resume
from jobs.train.sample_grid import write_grid
from jobs.train.saves import Saves, saving
from jobs.train.shared import from_first
from jobs.train.worker import Workers
from otcondense.counts import counted
from otcondense.diffusion.batches import batches
from otcondense.diffusion.forecast import forecast_training
from otcondense.diffusion.training import Batch, TrainState, create_state, make_batch, train_step
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


def run_loop(job: TrainJob, workers: Workers) -> LoopOutcome:
    """Train from the newest undamaged checkpoint to the last missing one.

    Raises: InputError if the newest checkpoint in the directory is of another configuration or of
        other images, or the memory does not suffice.
    """
    missing = from_first(workers, lambda: missing_steps(job))
    if not missing:
        return LoopOutcome(resumed_from=None)
    try:
        return _train(job, workers, missing)
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


def _train(job: TrainJob, workers: Workers, missing: list[int]) -> LoopOutcome:
    state = create_state(
        job.config, job.num_classes, job.image_shape, workers.device, job.attachments()
    )
    resumed_from = resume(job, workers, state, missing[0])
    workers.wrap(state)
    try:
        _steps(job, workers, state, missing[-1])
    except Diverged as error:
        return LoopOutcome(resumed_from, diverged=str(error))
    return LoopOutcome(resumed_from)


def _steps(job: TrainJob, workers: Workers, state: TrainState, last: int) -> None:
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
    finally:
        curve.close()


def _after_step(saves: Saves, last: int) -> None:
    job, state = saves.job, saves.state
    step = state.step
    config = job.config
    at_checkpoint = step in config.kept_steps or step % config.checkpoint_every == 0
    if has_line(config, step):
        saves.curve.flush(step)
    if at_checkpoint:
        saves.start(is_last=step == last)
    # The other workers wait for the grid in their next step; the checkpoint is written meanwhile.
    if config.grid_every and step % config.grid_every == 0 and saves.workers.rank == 0:
        write_grid(job, state)


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
