"""One training run: its configuration, its inputs and the place of its results."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypedDict

import torch
from torch import Tensor

from otcondense.diffusion.attach import Attachments
from otcondense.diffusion.checkpoint_files import is_complete, latest_checkpoint
from otcondense.diffusion.checkpoint_state import refuse_foreign
from otcondense.diffusion.data import Pixels, TrainingSet
from otcondense.diffusion.held_out_loss import LossImages, read_loss_images
from otcondense.diffusion.input_shapes import check_grid, token_width
from otcondense.diffusion.inputs import Inputs, check_inputs, load_inputs, load_text
from otcondense.diffusion.loss_lines import CURVE_FILE
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.diffusion.weights import manifest_weights
from otcondense.errors import InputError
from otcondense.representations.captions import read_no_caption
from otcondense.representations.text_config import no_caption_file
from otcondense.store import Store
from otcondense.store.images import read_images

BEST_FILE = "best.json"
LOSSES_FILE = "held_out_loss.json"
GRIDS = "grids"
"""Folder of the grids of samples."""
WITHOUT_HELD_OUT = "set held_out and training.data=pixels, or keep_best=loss"
"""What to do where a training cannot have a loss on held-out images."""
RESULTS = ("checkpoints", CURVE_FILE, BEST_FILE, LOSSES_FILE, GRIDS)
"""Everything that a training writes below its directory."""


def grid_file(directory: str, step: int) -> str:
    """Return the name of the grid of one step, in the directory of its training."""
    return f"{directory}/{GRIDS}/step-{step:06d}.png"


class TrainSettings(TypedDict):
    """The fields of a `TrainJob` as plain values."""

    store_root: str
    directory: str
    images_name: str
    config: dict[str, Any]
    num_classes: int
    image_shape: Sequence[int]
    fingerprint: str
    inputs: dict[str, str]
    classes: Sequence[int]
    held_out_name: str


@dataclass(frozen=True)
class TrainJob:
    """One training run: its inputs, its configuration and the place of its results."""

    store_root: str
    directory: str
    """Directory of its checkpoints and its loss curve, below the root."""
    images_name: str
    """File of the chosen images as pixels; not read if the model is trained on latents."""
    config: TrainingConfig
    num_classes: int
    image_shape: tuple[int, int, int]
    """Channels, height, width of the model's input."""
    fingerprint: str
    inputs: Inputs = field(default_factory=Inputs)
    """Latents, tokens and text, if the configuration uses them."""
    classes: tuple[int, ...] = ()
    """Indices of the classes with images, which grids show; empty if every class has images."""
    held_out_name: str = ""
    """File of held-out images as pixels, for `keep_best=held_out_loss`; empty if not used."""

    @property
    def store(self) -> Store:
        """The store that holds the run."""
        return Store(self.store_root)

    def settings(self) -> "TrainSettings":
        """Return the fields as plain values, which Ray Train passes to its workers."""
        return {
            "store_root": self.store_root,
            "directory": self.directory,
            "images_name": self.images_name,
            "config": self.config.model_dump(mode="json"),
            "num_classes": self.num_classes,
            "image_shape": self.image_shape,
            "fingerprint": self.fingerprint,
            "inputs": asdict(self.inputs),
            "classes": self.classes,
            "held_out_name": self.held_out_name,
        }

    @classmethod
    def from_settings(cls, settings: "TrainSettings") -> "TrainJob":
        """Return the run with the fields `settings`."""
        channels, height, width = settings["image_shape"]
        return cls(
            store_root=settings["store_root"],
            directory=settings["directory"],
            images_name=settings["images_name"],
            config=TrainingConfig(**settings["config"]),
            num_classes=settings["num_classes"],
            image_shape=(channels, height, width),
            fingerprint=settings["fingerprint"],
            inputs=Inputs(**settings["inputs"]),
            classes=tuple(settings["classes"]),
            held_out_name=settings["held_out_name"],
        )

    def missing_steps(self) -> list[int]:
        """Return the kept steps whose checkpoints are missing, in rising order."""
        return [
            step
            for step in self.config.kept_steps
            if not is_complete(self.store, self.directory, step, self.fingerprint)
        ]

    def load_images(self) -> tuple[Tensor, Tensor]:
        """Return the training images [n, c, h, w] as bytes and the class of each.

        Raises: InputError if the file is missing or damaged, or its images are not of the expected
            shape and classes.
        """
        images, labels = read_images(self.store, self.images_name)
        place = self.store.path(self.images_name)
        if len(images) == 0 or images.shape[1:] != self.image_shape:
            raise InputError(
                f"{place} must hold images of shape {self.image_shape}, "
                f"found {len(images)} of shape {images.shape[1:]}"
            )
        if labels.min() < 0 or labels.max() >= self.num_classes:
            raise InputError(
                f"{place} must hold classes 0 to {self.num_classes - 1}, "
                f"found {labels.min()} to {labels.max()}"
            )
        return torch.from_numpy(images), torch.from_numpy(labels)

    def check_held_out(self) -> None:
        """Check that the training can have a loss on held-out images, without reading them.

        Raises: InputError if there are none, or the model is not trained on pixels.
        """
        if self.config.data != "pixels" or not self.held_out_name:
            found = "latents" if self.config.data == "latents" else "no held-out images"
            raise InputError(
                "keep_best=held_out_loss needs held-out images as pixels, for a model of pixels, "
                f"found {found}; {WITHOUT_HELD_OUT}"
            )

    def load_held_out(self) -> LossImages:
        """Return the held-out images of the classes that are trained.

        Raises: InputError as `check_held_out` does, or if no image is of these classes and the
            shape of the model's input.
        """
        self.check_held_out()
        images = read_loss_images(self.store, self.held_out_name, self.classes)
        if len(images) == 0 or images.images.shape[1:] != self.image_shape:
            raise InputError(
                f"{self.store.path(self.held_out_name)} must hold images of shape "
                f"{self.image_shape} of the trained classes, found {len(images)} of shape "
                f"{tuple(images.images.shape[1:])}; {WITHOUT_HELD_OUT}"
            )
        return images

    def check_data(self) -> None:
        """Check the inputs before any worker starts.

        Raises: InputError naming the input that is missing, damaged or of the wrong shape.
        """
        if self.config.data == "pixels":
            self.load_images()
        if self.config.keep_best == "held_out_loss":
            self.load_held_out()
        check_inputs(self.store, self.inputs, self.config)
        if self.config.alignment is not None:
            patch_size = self.config.model.size.patch_size
            check_grid(self.store, self.inputs, patch_size, self.image_shape)
        if self.config.weighting == "manifest":
            self._load_weights()

    def _load_weights(self) -> Tensor:
        """Return the weight of each training image.

        Raises: InputError if the manifest is missing or damaged, or its weights cannot be used.
        """
        return manifest_weights(self.store, self.inputs.manifest)

    def load_data(self, device: str) -> TrainingSet:
        """Return the training data for one worker.

        Raises: InputError as `check_data` does.
        """
        pixels = None
        if self.config.data == "pixels":
            images, labels = self.load_images()
            pixels = TrainingSet(Pixels(images.to(device)), labels.to(device))
        data = load_inputs(self.store, self.inputs, self.config, device, pixels)
        if self.config.weighting == "manifest":
            return replace(data, weights=self._load_weights().to(device))
        return data

    def attachments(self) -> Attachments:
        """Return the shapes and texts that the attached parts of the model are built for."""
        text = no_caption = None
        if self.config.has_captions:
            file = no_caption_file(self.inputs.captions)
            no_caption = torch.from_numpy(read_no_caption(self.store, file))
        elif self.config.text:
            text = load_text(self.store, self.inputs, self.num_classes)
        width = None
        if self.config.alignment is not None:
            width = token_width(self.store, self.inputs)
        return Attachments(text, width, no_caption)

    def clear_outdated(self) -> None:
        """Remove the results of this training if its images or the number of classes changed since.

        Raises: InputError if the results are of another configuration.
        """
        newest = latest_checkpoint(self.store, self.directory)
        if newest is None:
            return
        refuse_foreign(self.store, newest, self.config)
        state = newest.state
        if state.fingerprint != self.fingerprint or state.num_classes != self.num_classes:
            for name in RESULTS:
                self.store.remove(f"{self.directory}/{name}")
