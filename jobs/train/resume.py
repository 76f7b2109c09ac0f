"""Where a training goes on: what is missing, and the state of its newest undamaged checkpoint."""

import logging
from collections.abc import Iterator
from contextlib import suppress

import torch

from jobs.train.shared import from_first
from otcondense.diffusion.checkpoint import restore_state, saved_tensors, start_optimizer
from otcondense.diffusion.checkpoint_files import latest_checkpoint, list_checkpoints
from otcondense.diffusion.checkpoint_state import (
    Checkpoint,
    DamagedCheckpointError,
    checkpoint_directory,
    open_checkpoint,
    refuse_foreign,
    refuse_other_inputs,
)
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training import TrainState
from otcondense.diffusion.workers import Workers
from otcondense.errors import InputError

LOG = logging.getLogger(__name__)


def missing_steps(job: TrainJob) -> list[int]:
    """Return the steps whose checkpoints are missing; the newest one must be of this training."""
    newest = latest_checkpoint(job.store, job.directory)
    if newest is not None:
        refuse_foreign(job.store, newest, job.config)
        refuse_other_inputs(job.store, newest, job.fingerprint)
    return job.missing_steps()


def next_start(job: TrainJob) -> int:
    """Return the step after which a start of a training goes on, by the sizes of its checkpoints.

    Returns: 0 if it starts from the beginning.
    """
    missing = job.missing_steps()
    if not missing:
        return job.config.num_steps
    newest = next(_complete_checkpoints(job, missing[0]), None)
    if newest is None or newest.state.fingerprint != job.fingerprint:
        return 0
    return newest.step


def resume(job: TrainJob, workers: Workers, state: TrainState, before: int) -> int:
    """Set `state` to the newest undamaged checkpoint before step `before`.

    The first worker reads its files, each once, and gives the state to the others.

    Returns: its step, or 0 if there is none.
    """
    (step,) = from_first(workers, lambda: [_restore_newest(job, state, before)])
    if step and workers.world_size > 1:
        _broadcast(workers, state, step)
    return step


def _restore_newest(job: TrainJob, state: TrainState, before: int) -> int:
    for checkpoint in _complete_checkpoints(job, before):
        try:
            restore_state(job.store, checkpoint, state, fingerprint=job.fingerprint)
        except DamagedCheckpointError as error:
            LOG.warning("%s", error)
            continue
        return checkpoint.step
    return 0


def _complete_checkpoints(job: TrainJob, before: int) -> Iterator[Checkpoint]:
    """Yield checkpoints with all files in the right sizes, the newest first."""
    for step in reversed(list_checkpoints(job.store, job.directory)):
        if step < before:
            with suppress(InputError):
                yield open_checkpoint(job.store, checkpoint_directory(job.directory, step))


def _broadcast(workers: Workers, state: TrainState, step: int) -> None:
    """Give every worker the weights, averages and moments of the first, after `step` steps."""
    if workers.rank != 0:
        start_optimizer(state, step)
    for tensors in saved_tensors(state).values():
        for tensor in tensors.values():
            torch.distributed.broadcast(tensor, 0)
