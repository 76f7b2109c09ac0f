"""Checkpoints while training goes on, and which of them stay."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobs.train.best import write_summaries
from jobs.train.held_out import HeldOutLosses
from jobs.train.loss_curve import Diverged, LossCurve
from otcondense.diffusion.background_save import BackgroundSave, background_save
from otcondense.diffusion.checkpoint_files import list_checkpoints, remove_checkpoint
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training import TrainState
from otcondense.diffusion.workers import Workers


class Saves:
    """The checkpoints of one start of a training.

    The first worker writes them in the background. Each is reported once it is complete: before the
    next one is started, and at the end.
    """

    def __init__(
        self,
        job: TrainJob,
        workers: Workers,
        state: TrainState,
        curve: LossCurve,
        writer: BackgroundSave,
    ) -> None:
        self.job = job
        self.workers = workers
        self.state = state
        self.curve = curve
        self._writer = writer
        self._held_out: HeldOutLosses | None = None
        if workers.rank == 0:
            self._held_out = HeldOutLosses.of(job, workers.device)
        self._report: dict[str, Any] | None = None

    def start(self, *, is_last: bool) -> None:
        """Start to write the checkpoint of this step, once the one before it is complete."""
        self.finish()
        if self.workers.rank == 0:
            self._start_writing(is_last=is_last)
        self._report = {"step": self.state.step, "loss": self.curve.lines[-1].loss}

    def _start_writing(self, *, is_last: bool) -> None:
        job, step, lines = self.job, self.state.step, self.curve.all_lines
        held_out: dict[int, float] = {}
        if self._held_out is not None:
            # The other workers wait in their next step.
            self._held_out.add(self.state.ema, step)
            held_out = dict(self._held_out.losses)

        def then() -> None:
            best = write_summaries(job, lines, held_out)
            for each in superfluous(job, step, best, is_last=is_last):
                remove_checkpoint(job.store, job.directory, each)

        self._writer.start(self.state, (tuple(self.curve.lines), self.curve.partial), then)

    def finish(self) -> None:
        """Wait until the last checkpoint is complete, and report it.

        Raises: the error that writing it ended with.
        """
        self._writer.wait()
        report, self._report = self._report, None
        if report is not None:
            self.workers.report(report)


@contextmanager
def saving(job: TrainJob, workers: Workers, state: TrainState, curve: LossCurve) -> Iterator[Saves]:
    """Yield the checkpoints of a training; they are complete and reported at the end."""
    with background_save(job.store, job.directory, job.fingerprint) as writer:
        if workers.rank == 0:
            writer.prepare(state)
        saves = Saves(job, workers, state, curve, writer)
        try:
            yield saves
        except Diverged:
            saves.finish()
            raise
        saves.finish()


def superfluous(
    job: TrainJob, step: int, best: int | None = None, *, is_last: bool
) -> Iterator[int]:
    """Return the checkpoints that are no longer needed once the checkpoint of `step` is written.

    Args:
        job: the training.
        step: step of the checkpoint that was just written.
        best: step of the best checkpoint, if it is to be kept.
        is_last: whether the training is finished, so that there is nothing left to resume.
    """
    kept = {*job.config.kept_steps, best}
    written = list_checkpoints(job.store, job.directory)
    recovery = [each for each in written if each <= step and each not in kept]
    spare = 0 if is_last else job.config.keep_last
    return iter(recovery[: max(0, len(recovery) - spare)])
