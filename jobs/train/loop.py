"""The loop around `train_step`, as each Ray Train worker runs it: resume, step, log, checkpoint."""

import time
from collections.abc import Iterator
from typing import Any

import torch

from jobs.train.job import TrainJob
from jobs.train.loss_curve import Diverged, LossCurve, write_summaries
from jobs.train.sample_grid import write_grid
from jobs.train.worker import Workers
from otcondense.diffusion.batches import batches
from otcondense.diffusion.checkpoint import (
    checkpoint_directory,
    latest_checkpoint,
    list_checkpoints,
    refuse_foreign,
    refuse_other_inputs,
    restore_state,
    save_checkpoint,
)
from otcondense.diffusion.forecast import forecast_training
from otcondense.diffusion.training import Batch, TrainState, create_state, make_batch, train_step
from otcondense.errors import InputError
from otcondense.threads import one_thread_on

__all__ = ["TrainJob", "Workers", "run_loop", "worker_main"]

CPU_OUT_OF_MEMORY = ("can't allocate memory", "not enough memory")


def run_loop(job: TrainJob, workers: Workers) -> dict[str, Any]:
    """Train from the newest usable checkpoint to the last missing one.

    Returns: `resumed_from` (a step, 0 for a fresh start, None if nothing was left to do) and `diverged` (a message, or None).

    Raises: InputError if the newest checkpoint in the directory is of another configuration or of other images.
    """
    newest = latest_checkpoint(job.store, job.directory)
    if newest is not None:
        refuse_foreign(job.store, newest, job.config)
        refuse_other_inputs(job.store, newest, job.fingerprint)
    missing = job.missing_steps()
    if not missing:
        return {"resumed_from": None, "diverged": None}
    try:
        return _train(job, workers, missing)
    except RuntimeError as error:  # the CPU's allocator raises no type of its own
        if not isinstance(error, torch.OutOfMemoryError) and not any(
            words in str(error) for words in CPU_OUT_OF_MEMORY
        ):
            raise
        raise InputError(_out_of_memory(job)) from error


def _out_of_memory(job: TrainJob) -> str:
    config = job.config
    found = forecast_training(config, job.num_classes, job.image_shape, job.attachments())
    return (
        f"training {config.model.name} ran out of memory with {config.global_batch_size // config.world_size} images on each of "
        f"{config.world_size} worker(s) in {config.accumulation} part(s); the forecast is {found.text}; raise accumulation or num_workers, "
        "lower global_batch_size, or set precision=bfloat16; resident_gb=0 takes the training data off the device"
    )


def _train(job: TrainJob, workers: Workers, missing: list[int]) -> dict[str, Any]:
    state = create_state(
        job.config, job.num_classes, job.image_shape, workers.device, job.attachments()
    )
    resumed_from, diverged = resume(job, state, missing[0]), None
    assert workers.mean(torch.tensor([float(resumed_from)], device=workers.device)) == [
        resumed_from
    ], "workers resumed from different steps"
    workers.wrap(state)
    try:
        _steps(job, workers, state, missing[-1])
    except Diverged as error:
        diverged = str(error)
    return {"resumed_from": resumed_from, "diverged": diverged}


def resume(job: TrainJob, state: TrainState, before: int) -> int:
    """Bring `state` to the newest checkpoint older than step `before`; returns its step, 0 if there is none."""
    checkpoint = latest_checkpoint(job.store, job.directory, before=before)
    if checkpoint is not None:
        restore_state(job.store, checkpoint, state, fingerprint=job.fingerprint)
    return state.step


def _steps(job: TrainJob, workers: Workers, state: TrainState, last: int) -> None:
    data, config = job.load_data(workers.device), job.config
    curve = LossCurve(job, workers, state.step, last)
    parts = workers.world_size * config.accumulation
    own = range(workers.rank * config.accumulation, (workers.rank + 1) * config.accumulation)

    def make(step: int) -> list[Batch]:
        return [make_batch(config, step, data, (part, parts)) for part in own]

    try:
        with batches(make, range(state.step, last), workers.device, ahead=data.streamed) as take:
            while state.step < last:
                started = time.perf_counter()
                batch = take()
                waited = time.perf_counter() - started
                curve.add(train_step(state, *batch), waited)
                _after_step(job, workers, state, curve, last)
    finally:
        curve.close()


def _after_step(
    job: TrainJob, workers: Workers, state: TrainState, curve: LossCurve, last: int
) -> None:
    step, config = state.step, job.config
    at_checkpoint = step in config.kept_steps or step % config.checkpoint_every == 0
    if at_checkpoint or step % config.log_every == 0:
        curve.flush(step)
    if config.grid_every and step % config.grid_every == 0 and workers.rank == 0:
        write_grid(job, state)
    if at_checkpoint:
        _checkpoint(job, workers, state, curve, is_last=step == last)


def _checkpoint(
    job: TrainJob, workers: Workers, state: TrainState, curve: LossCurve, *, is_last: bool
) -> None:
    if workers.rank == 0:
        save_checkpoint(
            job.store, job.directory, state, fingerprint=job.fingerprint, curve=curve.lines
        )
        best = write_summaries(job, curve.all_lines)
        for step in superfluous(job, state.step, best, is_last=is_last):
            job.store.remove(checkpoint_directory(job.directory, step))
    workers.report({"step": state.step, "loss": curve.lines[-1]["loss"]})


def superfluous(
    job: TrainJob, step: int, best: int | None = None, *, is_last: bool
) -> Iterator[int]:
    """Return the checkpoints that nobody needs once that of `step` is written: none but the kept ones and the best at the end."""
    kept = {*job.config.kept_steps, best}
    recovery = [
        each
        for each in list_checkpoints(job.store, job.directory)
        if each <= step and each not in kept
    ]
    spare = 0 if is_last else job.config.keep_last
    return iter(recovery[: max(0, len(recovery) - spare)])


def worker_main(settings: dict[str, Any]) -> dict[str, Any]:
    """What Ray Train calls in every worker; `settings` are those of a `TrainJob`."""
    import ray.train
    import ray.train.torch

    device = str(ray.train.torch.get_device())
    context = ray.train.get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size(), device, ray.train.report)
    with one_thread_on(device):
        return run_loop(TrainJob.from_settings(settings), workers)
