"""Train several models of one shape at once, with the files of a training of each by itself."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from jobs.train.best import write_summaries
from jobs.train.loss_curve import Diverged, LossCurve, has_line
from jobs.train.saves import superfluous
from otcondense.diffusion.batches import batches
from otcondense.diffusion.checkpoint import restore_state, save_checkpoint
from otcondense.diffusion.checkpoint_files import latest_checkpoint, remove_checkpoint
from otcondense.diffusion.ensemble import Ensemble, ensemble_of, ensemble_step
from otcondense.diffusion.ensemble_batches import EnsembleData, ensemble_data, make_ensemble_batch
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training import TrainState, create_state
from otcondense.diffusion.workers import Workers

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Way:
    """Which steps of a training are left; trainings with the same way can be one ensemble."""

    start: int
    """Step of the newest undamaged checkpoint before the first missing one; 0 without."""
    last: int
    """The last step with a missing checkpoint."""


@dataclass
class _Member:
    """One training of an ensemble."""

    job: TrainJob
    state: TrainState
    curve: LossCurve
    diverged: bool = False


@dataclass
class _Running:
    """An ensemble while it is trained."""

    ensemble: Ensemble
    members: list[_Member]
    last: int
    totals: Tensor
    """Sum of the losses [models] of the steps since the last line."""
    waited: float = field(default=0.0)
    """Seconds that these steps waited for their data."""


def way_left(job: TrainJob) -> Way | None:
    """Return the steps that a training has to do; None if it is finished.

    Raises: InputError if the directory has another configuration.
    """
    job.clear_outdated()
    missing = job.missing_steps()
    if not missing:
        return None
    newest = latest_checkpoint(job.store, job.directory, before=missing[0])
    return Way(0 if newest is None else newest.step, missing[-1])


def train_at_once(jobs: Sequence[TrainJob], way: Way, device: str) -> None:
    """Train several models to their ends; each goes on from the checkpoint of `way`.

    They write the checkpoints and curves that each would write by itself; the weights are equal up
    to rounding, and each checkpoint says how many models were trained at once. A model whose loss
    is no longer finite is given up: its last good checkpoint stays, and the others go on.

    Args:
        jobs: trainings on pixels, equal but for seed and images.
        way: the steps that are left of each.
        device: where to compute.

    Raises: InputError if an input is damaged; RuntimeError if the memory does not suffice.
    """
    data = _load(jobs, device)
    states = [_state(job, way, device) for job in jobs]
    ensemble = ensemble_of(states)
    members = [
        _Member(job, state, LossCurve(job, Workers(), way.start, way.last))
        for job, state in zip(jobs, states, strict=True)
    ]
    totals = torch.zeros(len(members), device=device)
    running = _Running(ensemble, members, way.last, totals)
    try:
        _steps(running, data, device)
    finally:
        for member in members:
            member.curve.close()


def _load(jobs: Sequence[TrainJob], device: str) -> EnsembleData:
    sets = [job.load_data("cpu") for job in jobs]
    return ensemble_data([job.config for job in jobs], sets, device)


def _state(job: TrainJob, way: Way, device: str) -> TrainState:
    """Return a member before its next step."""
    config = job.config.model_copy(update={"compile_blocks": False})
    state = create_state(config, job.num_classes, job.image_shape, device)
    if way.start:
        newest = latest_checkpoint(job.store, job.directory, before=way.start + 1)
        assert newest is not None, "a member goes on from a checkpoint that was just found"
        assert newest.step == way.start
        restore_state(job.store, newest, state, fingerprint=job.fingerprint)
    return state


def _steps(running: _Running, data: EnsembleData, device: str) -> None:
    ensemble, last = running.ensemble, running.last
    steps = range(ensemble.step, last)
    with batches(
        lambda step: make_ensemble_batch(data, step), steps, device, ahead=device != "cpu"
    ) as take:
        while ensemble.step < last and not all(each.diverged for each in running.members):
            started = time.perf_counter()
            batch = take()
            running.waited += time.perf_counter() - started
            running.totals += ensemble_step(ensemble, batch).loss
            _after_step(running)


def _after_step(running: _Running) -> None:
    config, step = running.ensemble.config, running.ensemble.step
    if has_line(config, step):
        _write_lines(running)
    if step in config.kept_steps or step % config.checkpoint_every == 0:
        for member in running.members:
            if not member.diverged:
                _save(member, is_last=step == running.last)


def _write_lines(running: _Running) -> None:
    """Write a line of each member; those whose loss is not finite are given up."""
    totals = running.totals.cpu()  # one wait for all members
    for member, total in zip(running.members, totals, strict=True):
        if member.diverged:
            continue
        member.curve.add({"loss": total}, running.waited)
        try:
            member.curve.flush(running.ensemble.step)
        except Diverged as error:
            member.diverged = True
            LOG.warning("%s: %s", member.job.directory, error)
    running.totals.zero_()
    running.waited = 0.0


def _save(member: _Member, *, is_last: bool) -> None:
    job, curve = member.job, member.curve
    save_checkpoint(
        job.store,
        job.directory,
        member.state,
        fingerprint=job.fingerprint,
        curve=curve.lines,
        partial=curve.partial,
    )
    best = write_summaries(job, curve.all_lines, None)
    for step in superfluous(job, member.state.step, best, is_last=is_last):
        remove_checkpoint(job.store, job.directory, step)
