"""The loop around `train_step`, as each Ray Train worker runs it: resume, step, log, checkpoint."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from otcondense.diffusion.checkpoint import (
    checkpoint_directory,
    is_complete,
    latest_checkpoint,
    list_checkpoints,
    refuse_foreign,
    refuse_other_inputs,
    restore_state,
    save_checkpoint,
)
from otcondense.diffusion.images import read_images
from otcondense.diffusion.training import TrainingConfig, TrainState, create_state, learning_rate, make_batch, train_step
from otcondense.errors import InputError
from otcondense.store import Store

CURVE_FILE = "metrics.jsonl"
NUM_RECOVERY_CHECKPOINTS = 2


@dataclass(frozen=True)
class TrainJob:
    """One training run: where its images are, where its results go, and what it is."""

    store_root: str
    directory: str
    images_name: str
    config: TrainingConfig
    num_classes: int
    image_shape: tuple[int, int, int]
    fingerprint: str

    @property
    def store(self) -> Store:
        """The store that holds the run."""
        return Store(self.store_root)

    def missing_steps(self) -> list[int]:
        """Return the steps whose checkpoints are wanted and not there."""
        return [step for step in self.config.kept_steps if not is_complete(self.store, self.directory, step, self.fingerprint)]

    def load_images(self) -> tuple[Tensor, Tensor]:
        """Return the training images [n, c, h, w] as bytes and the class of each.

        Raises: InputError if the file is missing or damaged, or does not hold images of the expected shape and classes.
        """
        images, labels = read_images(self.store, self.images_name)
        place = self.store.path(self.images_name)
        if len(images) == 0 or images.shape[1:] != self.image_shape:
            raise InputError(f"{place} must hold images of shape {self.image_shape}, found {len(images)} of shape {images.shape[1:]}")
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise InputError(f"{place} must hold classes 0 to {self.num_classes - 1}, found {labels.min()} to {labels.max()}")
        return torch.from_numpy(images), torch.from_numpy(labels)

    def clear_outdated(self) -> None:
        """Remove the checkpoints and the loss curve if they are of the same configuration on images that have changed since.

        Raises: InputError if they are of another configuration.
        """
        newest = latest_checkpoint(self.store, self.directory)
        if newest is None:
            return
        refuse_foreign(self.store, newest, self.config)
        if newest.state["fingerprint"] != self.fingerprint:
            self.store.remove(f"{self.directory}/checkpoints")
            self.store.remove(f"{self.directory}/{CURVE_FILE}")


@dataclass(frozen=True)
class Workers:
    """One worker among all: a lone one unless Ray Train says otherwise."""

    rank: int = 0
    world_size: int = 1
    device: str = "cpu"
    report: Callable[[dict[str, Any]], None] = field(default=lambda _: None)

    def wrap(self, state: TrainState) -> None:
        """Let gradients be averaged over the workers."""
        if self.world_size > 1:
            devices = [torch.device(self.device)] if self.device != "cpu" else None
            state.network = DistributedDataParallel(state.model, devices, broadcast_buffers=False, gradient_as_bucket_view=True)

    def mean(self, value: Tensor) -> float:
        """Return the average of `value` over the workers."""
        total = value.detach().clone().double()
        if self.world_size > 1:
            torch.distributed.all_reduce(total)
        return float(total) / self.world_size


class Diverged(Exception):  # noqa: N818 - it names what happened, and ends the run without being an error of ours
    """The loss is no longer a finite number."""


class LossCurve:
    """The loss curve: one line for every `log_every` steps and every checkpoint.

    `metrics.jsonl` is a result: it is rewritten whole with each checkpoint and does not depend on interruptions.
    The same lines with their times go to the log at once.
    """

    def __init__(self, job: TrainJob, workers: Workers, start: int, end: int) -> None:
        self._job, self._workers = job, workers
        self._name, self._log = f"{job.directory}/{CURVE_FILE}", f"logs/{job.directory}/steps.jsonl"
        self._last, self._since, self._total = start, time.perf_counter(), torch.zeros((), device=workers.device)
        stored = self._stored()
        self.lines = [line for line in stored if line["step"] <= start]
        self._later = [line for line in stored if line["step"] > end]

    def _stored(self) -> list[dict[str, Any]]:
        if not self._job.store.exists(self._name):
            return []
        return [json.loads(line) for line in self._job.store.read_bytes(self._name).decode().splitlines()]

    def add(self, loss: Tensor) -> None:
        """Take in the loss of one step without waiting for it."""
        self._total += loss

    def flush(self, step: int) -> None:
        """Write one line that covers the steps since the last.

        Raises: Diverged if the loss is not finite.
        """
        if step == self._last:
            return
        loss = self._workers.mean(self._total) / (step - self._last)
        if not math.isfinite(loss):
            raise Diverged(f"the loss became {loss} between step {self._last} and step {step}")
        line = {"step": step, "loss": loss, "learning_rate": learning_rate(self._job.config, step - 1)}
        self.lines.append(line)
        seconds = (time.perf_counter() - self._since) / (step - self._last)
        if self._workers.rank == 0:
            self._job.store.append_line(
                self._log, json.dumps({**line, "step_seconds": seconds, "time": time.time(), "process": os.getpid()})
            )
        self._last, self._since = step, time.perf_counter()
        self._total.zero_()

    def save(self) -> None:
        """Rewrite the file of the curve."""
        text = "".join(json.dumps(line) + "\n" for line in [*self.lines, *self._later])
        self._job.store.write_bytes(self._name, text.encode())


def run_loop(job: TrainJob, workers: Workers) -> dict[str, Any]:
    """Train from the newest usable checkpoint to the last missing one.

    Returns: `resumed_from` (a step, 0 for a fresh start) and `diverged` (a message, or None).

    Raises: InputError if the newest checkpoint in the directory is of another configuration or of other images.
    """
    newest = latest_checkpoint(job.store, job.directory)
    if newest is not None:
        refuse_foreign(job.store, newest, job.config)
        refuse_other_inputs(job.store, newest, job.fingerprint)
    missing = job.missing_steps()
    resumed_from, diverged = 0, None
    if missing:
        state = create_state(job.config, job.num_classes, job.image_shape, workers.device)
        resumed_from = resume(job, state, missing[0])
        assert workers.mean(torch.tensor(float(resumed_from), device=workers.device)) == resumed_from, (
            "workers resumed from different steps"
        )
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
    images, labels = (tensor.to(workers.device) for tensor in job.load_images())
    curve = LossCurve(job, workers, state.step, last)
    share = (workers.rank, workers.world_size)
    while state.step < last:
        curve.add(train_step(state, make_batch(job.config, state.step, images, labels, share))["loss"])
        at_checkpoint = state.step in job.config.kept_steps or state.step % job.config.checkpoint_every == 0
        if at_checkpoint or state.step % job.config.log_every == 0:
            curve.flush(state.step)
        if at_checkpoint:
            _checkpoint(job, workers, state, curve, is_last=state.step == last)


def _checkpoint(job: TrainJob, workers: Workers, state: TrainState, curve: LossCurve, *, is_last: bool) -> None:
    if workers.rank == 0:
        curve.save()
        save_checkpoint(job.store, job.directory, state, fingerprint=job.fingerprint)
        for step in superfluous(job, state.step, is_last=is_last):
            job.store.remove(checkpoint_directory(job.directory, step))
    workers.report({"step": state.step, "loss": curve.lines[-1]["loss"]})


def superfluous(job: TrainJob, step: int, *, is_last: bool) -> Iterator[int]:
    """Return the checkpoints that nobody needs once that of `step` is written: none but the kept ones at the end."""
    recovery = [each for each in list_checkpoints(job.store, job.directory) if each <= step and each not in job.config.kept_steps]
    spare = 0 if is_last else NUM_RECOVERY_CHECKPOINTS
    return iter(recovery[: max(0, len(recovery) - spare)])


def worker_main(settings: dict[str, Any]) -> dict[str, Any]:
    """What Ray Train calls in every worker; `settings` are the fields of a `TrainJob` as plain values."""
    import ray.train
    import ray.train.torch

    device = str(ray.train.torch.get_device())
    if device == "cpu":
        torch.set_num_threads(1)
    context = ray.train.get_context()
    workers = Workers(context.get_world_rank(), context.get_world_size(), device, ray.train.report)
    job = TrainJob(**{**settings, "config": TrainingConfig(**settings["config"]), "image_shape": tuple(settings["image_shape"])})
    return run_loop(job, workers)
