"""One training run: what it is, where its inputs are and where its results go."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from jobs.run_directory.run import CURVE_FILE
from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.checkpoint import is_complete, latest_checkpoint, refuse_foreign
from otcondense.diffusion.data import Pixels, TrainingSet
from otcondense.diffusion.inputs import Inputs, check_inputs, load_inputs, load_text, token_width
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.errors import InputError
from otcondense.store import Store
from otcondense.store.images import read_images


@dataclass(frozen=True)
class TrainJob:
    """One training run: where its images are, where its results go, and what it is."""

    store_root: str
    directory: str
    images_name: str
    """File of the chosen images as pixels; not read where latents are trained on."""
    config: TrainingConfig
    num_classes: int
    image_shape: tuple[int, int, int]
    """Channels, height, width of what the model sees."""
    fingerprint: str
    inputs: Inputs = field(default_factory=Inputs)
    """Latents, tokens and text, where the configuration asks for them."""
    classes: tuple[int, ...] = ()
    """Indices of the classes that have images, which grids show; empty where all have."""

    @property
    def store(self) -> Store:
        """The store that holds the run."""
        return Store(self.store_root)

    def settings(self) -> dict[str, Any]:
        """Return the fields as plain values, as Ray Train hands them to its workers."""
        return {
            **vars(self),
            "config": self.config.model_dump(mode="json"),
            "inputs": asdict(self.inputs),
        }

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "TrainJob":
        """Return the run whose fields these are."""
        made = {
            "config": TrainingConfig(**settings["config"]),
            "inputs": Inputs(**settings["inputs"]),
            "image_shape": tuple(settings["image_shape"]),
            "classes": tuple(settings["classes"]),
        }
        return cls(**{**settings, **made})

    def missing_steps(self) -> list[int]:
        """Return the steps whose checkpoints are wanted and not there."""
        return [
            step
            for step in self.config.kept_steps
            if not is_complete(self.store, self.directory, step, self.fingerprint)
        ]

    def load_images(self) -> tuple[Tensor, Tensor]:
        """Return the training images [n, c, h, w] as bytes and the class of each.

        Raises: InputError if the file is missing or damaged, or does not hold images of the expected shape and classes.
        """
        images, labels = read_images(self.store, self.images_name)
        place = self.store.path(self.images_name)
        if len(images) == 0 or images.shape[1:] != self.image_shape:
            raise InputError(
                f"{place} must hold images of shape {self.image_shape}, found {len(images)} of shape {images.shape[1:]}"
            )
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise InputError(
                f"{place} must hold classes 0 to {self.num_classes - 1}, found {labels.min()} to {labels.max()}"
            )
        return torch.from_numpy(images), torch.from_numpy(labels)

    def check_data(self) -> None:
        """Check the inputs before any worker starts.

        Raises: InputError naming what is missing, damaged or does not fit.
        """
        if self.config.data == "pixels":
            self.load_images()
        check_inputs(self.store, self.inputs, self.config)

    def load_data(self, device: str) -> TrainingSet:
        """Return the training data for one worker.

        Raises: InputError as `check_data` does.
        """
        pixels = None
        if self.config.data == "pixels":
            images, labels = (tensor.to(device) for tensor in self.load_images())
            pixels = TrainingSet(Pixels(images), labels)
        return load_inputs(self.store, self.inputs, self.config, device, pixels)

    def attachments(self) -> Attachments:
        """Return what the attached parts of the model are made for."""
        text = load_text(self.store, self.inputs, self.num_classes) if self.config.text else None
        return Attachments(
            text, token_width(self.store, self.inputs) if self.config.alignment else None
        )

    def clear_outdated(self) -> None:
        """Remove the checkpoints and the loss curve if they are of the same configuration on images that have changed since.

        Raises: InputError if they are of another configuration.
        """
        newest = latest_checkpoint(self.store, self.directory)
        if newest is None:
            return
        refuse_foreign(self.store, newest, self.config)
        if newest.state["fingerprint"] != self.fingerprint:
            for name in ("checkpoints", CURVE_FILE, "best.json", "grids"):
                self.store.remove(f"{self.directory}/{name}")
