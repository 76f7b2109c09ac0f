"""The actor that trains and samples the models of many trials at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import ray
import torch

from actors.units import UnitChanges
from jobs.train.ensemble import Way, train_at_once, way_left
from jobs.train.loop import run_loop
from otcondense.devices import resolve_device
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_files import sound_checkpoint
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.data import free_bytes
from otcondense.diffusion.ensemble import models_that_fit
from otcondense.diffusion.ensemble_sampler import sample_models, sampled_alike
from otcondense.diffusion.sampler import sample_batch
from otcondense.diffusion.sampler_config import SamplerConfig
from otcondense.diffusion.samples import (
    SamplePart,
    is_sampled,
    samples_fingerprint,
    sampling_units,
    write_part,
)
from otcondense.diffusion.train_job import TrainJob
from otcondense.diffusion.workers import Workers
from otcondense.errors import InputError
from otcondense.threads import one_thread_on

Item = TypeVar("Item")


@dataclass(frozen=True)
class Sampling:
    """How the checkpoints of a model are sampled."""

    config: SamplerConfig
    """Restricted to the classes that the model was trained on."""
    directories: tuple[tuple[int, str], ...]
    """Each kept step with the directory of its samples."""


@dataclass(frozen=True)
class SampleTask:
    """One part of the samples of one checkpoint."""

    job: TrainJob
    config: SamplerConfig
    directory: str
    """Of the samples."""
    step: int
    part: SamplePart

    @property
    def checkpoint(self) -> str:
        """Directory of the checkpoint."""
        return checkpoint_directory(self.job.directory, self.step)


@dataclass(frozen=True)
class Member:
    """A model of one or several trials: how it is trained and sampled."""

    job: TrainJob
    samplings: tuple[Sampling, ...]

    def open_tasks(self) -> Iterator[SampleTask]:
        """Yield the missing samples of the checkpoints that are there."""
        store = self.job.store
        for sampling in self.samplings:
            for step, directory in sampling.directories:
                try:
                    place = checkpoint_directory(self.job.directory, step)
                    state = sound_checkpoint(store, place).state
                except InputError:  # not trained yet, or it has diverged
                    continue
                wanted = samples_fingerprint(sampling.config, state)
                for part in sampling_units(sampling.config):
                    if not is_sampled(store, directory, part, wanted):
                        yield SampleTask(self.job, sampling.config, directory, step, part)

    @property
    def is_finished(self) -> bool:
        """Whether it is trained and sampled."""
        return not (self.job.missing_steps() or any(True for _ in self.open_tasks()))


@dataclass(frozen=True)
class EnsembleUnit:
    """Models of one shape that one worker trains and samples."""

    name: str
    members: tuple[Member, ...]
    limit: int | None
    """Most models at once; None takes as many as fit the memory."""


class EnsembleWorker:
    """Trains and samples models of one shape at once; what is finished is not done again.

    A model that is left alone is trained and sampled as its trial would do it, to the last bit.

    Args:
        device: where to compute.

    Raises: InputError if the device is a GPU, and there is none that torch can use.
    """

    def __init__(self, device: Literal["cpu", "cuda"]) -> None:
        self._device = resolve_device(device, on_cpu="ensemble_size=1")

    def run(self, unit: EnsembleUnit) -> UnitChanges:
        """Train the members to their ends, then sample every kept checkpoint."""
        first = unit.members[0].job
        limit = unit.limit or models_that_fit(
            first.config, first.num_classes, first.image_shape, free_bytes(self._device)
        )
        with one_thread_on(self._device):
            self._train([member.job for member in unit.members], limit)
            self._sample(unit.members, limit)
        return {}

    def _train(self, jobs: Sequence[TrainJob], limit: int) -> None:
        ways: dict[Way, list[TrainJob]] = {}
        for job in jobs:
            way = way_left(job)
            if way is not None:
                ways.setdefault(way, []).append(job)
        for way, alike in ways.items():

            def train(piece: Sequence[TrainJob], way: Way = way) -> None:
                if len(piece) > 1:
                    train_at_once(piece, way, self._device)
                else:
                    run_loop(piece[0], Workers(device=self._device))

            in_pieces(alike, limit, train)

    def _sample(self, members: Sequence[Member], limit: int) -> None:
        """Sample what is missing of the checkpoints; members without them are left out."""
        tasks: dict[tuple[str, int, SamplePart], list[SampleTask]] = {}
        for member in members:
            for task in member.open_tasks():
                key = (sampled_alike(task.config), task.step, task.part)
                tasks.setdefault(key, []).append(task)
        for alike in tasks.values():
            in_pieces(alike, limit, self._sample_part)

    def _sample_part(self, tasks: Sequence[SampleTask]) -> None:
        loaded = [
            load_model(
                task.job.store, task.checkpoint, weights=task.config.weights, device=self._device
            )
            for task in tasks
        ]
        part = tasks[0].part
        indices = torch.arange(part.first, part.first + part.count)
        models = [model for model, _ in loaded]
        objective = loaded[0][1].state.objective
        configs = [task.config for task in tasks]
        if len(tasks) > 1:
            found = sample_models(models, objective, indices, configs)
        else:
            found = [sample_batch(models[0], objective, indices, configs[0])]
        for task, (_, checkpoint), (images, labels) in zip(tasks, loaded, found, strict=True):
            # Of the checkpoint that was read: if it changes, the part does not count as finished.
            written = samples_fingerprint(task.config, checkpoint.state)
            samples = (images.numpy(), labels.numpy())
            write_part(task.job.store, task.directory, part, samples, written)


def in_pieces(items: Sequence[Item], limit: int, work: Callable[[Sequence[Item]], None]) -> None:
    """Call `work` with at most `limit` items at a time, and with half as many where memory ends.

    Raises: OutOfMemoryError if the memory does not suffice for one.
    """
    start, size = 0, limit
    while start < len(items):
        piece = items[start : start + size]
        try:
            work(piece)
        except torch.OutOfMemoryError:
            if len(piece) == 1:
                raise
            torch.cuda.empty_cache()
            size = len(piece) // 2
        else:
            start += len(piece)


EnsembleActor = ray.remote(EnsembleWorker)
