"""The loss curve of a training, and the logs of its loss and times."""

import math
import os
import time

import torch
from torch import Tensor

from jobs.trackers.event_file import EventFile
from jobs.train.step_log import StepWriter
from otcondense.diffusion.checkpoint_files import latest_checkpoint
from otcondense.diffusion.checkpoint_state import checkpoint_directory, open_checkpoint
from otcondense.diffusion.loss_lines import LoggedLine, LossLine, PartialLine
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.training import learning_rate
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.diffusion.workers import Workers


class Diverged(Exception):  # noqa: N818 - an outcome of the training, not an error of the code
    """The loss is no longer a finite number."""


class LossCurve:
    """The loss curve: one line for every `log_every` steps and every checkpoint.

    `metrics.jsonl` is a result. It is rewritten whole with each checkpoint, which keeps the lines
    too, and it does not depend on interruptions. The lines with their times go to the log and to
    TensorBoard's file: at once on a local disk, every 20 s to an object store.
    """

    partial: PartialLine | None
    """Sums of the last line, if it exists only because of a step to keep."""

    def __init__(self, job: TrainJob, workers: Workers, start: int, end: int) -> None:
        self.partial = None
        self._job = job
        self._workers = workers
        self._log = StepWriter(job.store, job.directory)
        self._last = start
        self._timed = start
        self._since = time.perf_counter()
        self._waited = 0.0

        self._names = ["loss"]
        if job.config.alignment is not None:
            self._names.append("alignment")
        self._totals = torch.zeros(len(self._names), device=workers.device)

        # Only rank 0 writes.
        self._writer = None
        stored: list[LossLine] = []
        if workers.rank == 0:
            folder = f"logs/{job.directory}/tensorboard"
            self._writer = EventFile(job.store, folder, start)
            stored = stored_curve(job)
        self.lines = [line for line in stored if line.step <= start]
        self._later = [line for line in stored if line.step > end]
        if start and not has_line(job.config, start):
            self._continue_line(start)

    def _continue_line(self, start: int) -> None:
        """Take up the line at which a shorter training ended, in place of that line.

        The checkpoints of older versions lack its sums; their line stays.
        """
        place = checkpoint_directory(self._job.directory, start)
        partial = open_checkpoint(self._job.store, place).state.partial
        if partial is None:
            return
        self._last = partial.since
        self._totals += torch.tensor(partial.totals[self._workers.rank]).to(self._totals)
        self.lines = [line for line in self.lines if line.step < start]

    def add(self, metrics: dict[str, Tensor], waited: float = 0.0) -> None:
        """Add the metrics of one step, without waiting for them.

        Args:
            metrics: means over this worker's samples, on the device.
            waited: seconds that the step waited for its data.
        """
        self._totals += torch.stack([metrics[name] for name in self._names])
        self._waited += waited

    def flush(self, step: int) -> None:
        """Write one line that covers the steps since the last.

        Raises: Diverged if the loss is not finite.
        """
        if step == self._last:
            return
        count = step - self._last
        totals = self._workers.mean(self._totals)
        means = {name: total / count for name, total in zip(self._names, totals, strict=True)}
        if not math.isfinite(means["loss"]):
            raise Diverged(
                f"the loss became {means['loss']} between step {self._last} and step {step}"
            )
        rate = learning_rate(self._job.config, step - 1)
        line = LossLine(step, means["loss"], rate, means.get("alignment"))
        self.lines.append(line)

        if self._workers.rank == 0:
            self._write(line, step - self._timed)
        self.partial = None
        if not _is_regular(self._job.config, step):
            self.partial = PartialLine(self._last, self._workers.gather(self._totals))
        self._last = step
        self._timed = step
        self._since = time.perf_counter()
        self._waited = 0.0
        self._totals.zero_()

    def _write(self, line: LossLine, count: int) -> None:
        """Write a line to the logs, with the times of its last `count` steps."""
        logged = LoggedLine(
            step=line.step,
            loss=line.loss,
            learning_rate=line.learning_rate,
            alignment=line.alignment,
            step_seconds=(time.perf_counter() - self._since) / count,
            data_wait_seconds=self._waited / count,
            time=time.time(),
            process=os.getpid(),
        )
        values = logged.to_json()
        self._log.add(logged)
        if self._writer is None:
            return
        self._writer.add(
            {name: values[name] for name in sorted(values.keys() - {"time", "process"})}, line.step
        )

    @property
    def all_lines(self) -> list[LossLine]:
        """All known lines of the training, including later lines of an earlier, longer start."""
        return [*self.lines, *self._later]

    def close(self) -> None:
        """Write the lines of the log that wait, and close TensorBoard's file."""
        self._log.flush()
        if self._writer is not None:
            self._writer.close()


def has_line(config: TrainingConfig, step: int) -> bool:
    """Return whether the loss curve has a line at this step."""
    return step in config.kept_steps or _is_regular(config, step)


def _is_regular(config: TrainingConfig, step: int) -> bool:
    """Return whether a training of any length has a line at this step."""
    return step % config.log_every == 0 or step % config.checkpoint_every == 0


def stored_curve(job: TrainJob) -> list[LossLine]:
    """Return the loss curve in the newest undamaged checkpoint."""
    newest = latest_checkpoint(job.store, job.directory)
    if newest is None or newest.state.curve is None:
        return []
    return list(newest.state.curve)
