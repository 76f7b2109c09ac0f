"""The loss on held-out images at each checkpoint of a training, for `keep_best=held_out_loss`."""

import math
from contextlib import suppress
from functools import cached_property
from typing import Any

from jobs.train.best import checkpoint_steps
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.checkpoint_files import list_checkpoints
from otcondense.diffusion.checkpoint_state import checkpoint_directory
from otcondense.diffusion.held_out_loss import LossImages, mean_denoising_error
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.registry import resolve_objective
from otcondense.diffusion.train_job import LOSSES_FILE, TrainJob
from otcondense.errors import InputError
from otcondense.store import stored_metadata

DIGITS = 9
"""Significant digits of a stored loss: further ones change with the number of threads."""


class HeldOutLosses:
    """The held-out losses of a training, in a file of their own.

    Checkpoints do not hold them: a checkpoint is the same whatever `keep_best` says. Losses of
    other held-out images are dropped.
    """

    def __init__(self, job: TrainJob, device: str) -> None:
        self._job = job
        self._device = device
        self.losses = self._stored()

    @classmethod
    def of(cls, job: TrainJob, device: str = "cpu") -> "HeldOutLosses | None":
        """Return the losses of all checkpoints that exist; None unless `keep_best` asks for them.

        Raises: InputError if the held-out images are missing or damaged.
        """
        if job.config.keep_best != "held_out_loss":
            return None
        job.check_held_out()
        losses = cls(job, device)
        losses.complete()
        return losses

    def add(self, model: Transformer, step: int) -> None:
        """Compute and store the loss of the averaged model at a step, unless it has diverged."""
        objective = resolve_objective(self._job.config.objective, self._job.config.model)
        loss = mean_denoising_error(model, objective, self._images)
        if math.isfinite(loss):
            self.losses[step] = float(f"{loss:.{DIGITS}g}")
            self._write()

    def complete(self) -> None:
        """Compute the losses of checkpoints that have none, such as those of an earlier start.

        Raises: InputError if the held-out images are missing or damaged.
        """
        for step in list_checkpoints(self._job.store, self._job.directory):
            if step in self.losses or not self._is_planned(step):
                continue
            assert len(self._images) > 0, "held-out images are checked when they are read"
            with suppress(InputError):  # a damaged checkpoint is trained again
                place = checkpoint_directory(self._job.directory, step)
                model, _ = load_model(self._job.store, place, device=self._device)
                self.add(model, step)

    @cached_property
    def _images(self) -> LossImages:
        return self._job.load_held_out()

    @cached_property
    def _content(self) -> str:
        """Digest of the held-out images; "" if the file is missing, which reading it will say."""
        metadata = stored_metadata(self._job.store, self._job.held_out_name)
        return "" if metadata is None else str(metadata["content"])

    @property
    def _file(self) -> str:
        return f"{self._job.directory}/{LOSSES_FILE}"

    def _is_planned(self, step: int) -> bool:
        return step in checkpoint_steps(self._job.config, step)

    def _stored(self) -> dict[int, float]:
        if not self._job.store.exists(self._file):
            return {}
        stored: dict[str, Any] = {}
        with suppress(InputError):  # a damaged file is written again
            stored = self._job.store.read_json(self._file)
        if stored.get("held_out") != self._content:
            return {}
        return {int(step): float(loss) for step, loss in stored["losses"].items()}

    def _write(self) -> None:
        steps = [step for step in sorted(self.losses) if self._is_planned(step)]
        planned = {str(step): self.losses[step] for step in steps}
        self._job.store.write_json(self._file, {"held_out": self._content, "losses": planned})
