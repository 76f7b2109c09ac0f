"""The loss curve of a training: a result without times, and logs with them as JSON lines and for TensorBoard."""

import json
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from jobs.run_directory.loss_curve import curve_text
from jobs.run_directory.run import CURVE_FILE
from jobs.train.job import TrainJob
from jobs.train.worker import Workers
from otcondense.diffusion.checkpoint import latest_checkpoint
from otcondense.diffusion.training import learning_rate
from otcondense.diffusion.training_config import TrainingConfig

BEST_FILE = "best.json"
Line = dict[str, Any]


class Diverged(Exception):  # noqa: N818 - it names what happened, and ends the run without being an error of ours
    """The loss is no longer a finite number."""


class LossCurve:
    """The loss curve: one line for every `log_every` steps and every checkpoint.

    `metrics.jsonl` is a result: it is rewritten whole with each checkpoint, which keeps the lines too, and does not depend on interruptions.
    The same lines with their times go to the log at once, and to TensorBoard's files where the run is on a local disk.
    """

    def __init__(self, job: TrainJob, workers: Workers, start: int, end: int) -> None:
        self._job, self._workers = job, workers
        self._log = f"logs/{job.directory}/steps.jsonl"
        self._last, self._since, self._waited = start, time.perf_counter(), 0.0
        self._names = ("loss", "alignment") if job.config.alignment is not None else ("loss",)
        self._totals = torch.zeros(len(self._names), device=workers.device)
        self._writer = _tensorboard(job, start) if workers.rank == 0 else None
        stored = (
            stored_curve(job) if workers.rank == 0 else []
        )  # only rank 0 writes, and a checkpoint is hashed to be read
        self.lines = [line for line in stored if line["step"] <= start]
        self._later = [line for line in stored if line["step"] > end]

    def add(self, metrics: dict[str, Tensor], waited: float = 0.0) -> None:
        """Take in the metrics of one step without waiting for them, and the seconds that it waited for its data."""
        self._totals += torch.stack([metrics[name] for name in self._names])
        self._waited += waited

    def flush(self, step: int) -> None:
        """Write one line that covers the steps since the last.

        Raises: Diverged if the loss is not finite.
        """
        if step == self._last:
            return
        count = step - self._last
        means = dict(
            zip(
                self._names,
                (value / count for value in self._workers.mean(self._totals)),
                strict=True,
            )
        )
        if not math.isfinite(means["loss"]):
            raise Diverged(
                f"the loss became {means['loss']} between step {self._last} and step {step}"
            )
        line = {"step": step, **means, "learning_rate": learning_rate(self._job.config, step - 1)}
        self.lines.append(line)
        times = {
            "step_seconds": (time.perf_counter() - self._since) / count,
            "data_wait_seconds": self._waited / count,
        }
        if self._workers.rank == 0:
            self._write(step, line, times)
        self._last, self._since, self._waited = step, time.perf_counter(), 0.0
        self._totals.zero_()

    def _write(self, step: int, line: dict[str, Any], times: dict[str, float]) -> None:
        self._job.store.append_line(
            self._log, json.dumps({**line, **times, "time": time.time(), "process": os.getpid()})
        )
        if self._writer is not None:
            for name, value in {**line, **times}.items():
                self._writer.add_scalar(name, value, step)
            self._writer.flush()

    @property
    def all_lines(self) -> list[Line]:
        """What is known of the whole training, its later part from an earlier start if there was one."""
        return [*self.lines, *self._later]

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()


def stored_curve(job: TrainJob) -> list[Line]:
    """Return the loss curve that the newest usable checkpoint keeps."""
    newest = latest_checkpoint(job.store, job.directory)
    return [] if newest is None else list(newest.state["curve"])


def write_summaries(job: TrainJob, lines: Sequence[Line]) -> int | None:
    """Write the loss curve and which checkpoint is best as files of their own, unless they are there.

    Args:
        job: the training.
        lines: its loss curve, as far as it is known.

    Returns: the step, so far, of the checkpoint with the lowest mean loss since the one before it; None if that is not wanted.
    """
    store, name = job.store, f"{job.directory}/{CURVE_FILE}"
    text = curve_text(lines)
    if not store.exists(name) or store.read_bytes(name) != text:
        store.write_bytes(name, text)
    if not job.config.keep_best:
        return None
    losses = _losses(job.config, lines)
    best = min(losses, key=lambda each: losses[each])
    store.write_json(f"{job.directory}/{BEST_FILE}", {"step": best, "loss": losses[best]})
    return best


def _losses(config: TrainingConfig, lines: Sequence[Line]) -> dict[int, float]:
    """Return the mean loss before each checkpoint, since the one before it."""
    step = lines[-1]["step"]
    kept = (each for each in config.kept_steps if each <= step)
    steps = sorted({*kept, *range(config.checkpoint_every, step + 1, config.checkpoint_every)})
    return {
        last: _mean_between(lines, first, last)
        for first, last in zip([0, *steps], steps, strict=False)
    }


def _mean_between(lines: Sequence[Line], first: int, last: int) -> float:
    """Return the mean loss of the steps after `first` up to `last`, both of which have a line or are the start."""
    total, before = 0.0, 0
    for line in lines:
        if first < line["step"] <= last:
            total += line["loss"] * (line["step"] - before)
        before = line["step"]
    return total / (last - first)


def _tensorboard(job: TrainJob, start: int) -> Any:
    """Return a writer of TensorBoard's event files, None on a store that cannot be appended to."""
    if not job.store.is_local:
        return None
    from tensorboardX import SummaryWriter

    return SummaryWriter(job.store.path(f"logs/{job.directory}/tensorboard"), purge_step=start + 1)
