"""The scoring actor: the denoising error of every image of a class."""

from dataclasses import dataclass
from typing import Any, Literal

import torch

from actors.units import UnitChanges
from otcondense.devices import resolve_device
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.difficulty import DenoisingConfig, denoising_errors, score_times
from otcondense.diffusion.text import CaptionEmbedder
from otcondense.errors import InputError
from otcondense.store import (
    ClassDifficulties,
    Representation,
    Store,
    class_files,
    read_columns,
    write_class_difficulties,
)
from otcondense.store.images import to_unit_range
from otcondense.store.score_kinds import HARD_END

LATENT_COLUMN = "mean"
PIXEL_COLUMN = "image"


@dataclass(frozen=True)
class ScoreUnit:
    """The scoring of one class."""

    name: str
    class_name: str
    size: int
    """Number of its images."""
    features: str
    """Directory of the features, relative to the run: it lists the images."""
    inputs: str
    """Directory of the latents or the pixels, relative to the run."""
    of_latents: bool
    """Whether the model takes latents."""
    directory: str
    """Directory of the result, relative to the run."""
    fingerprint: str
    """Fingerprint of the result."""


@dataclass(frozen=True)
class CheckpointPlace:
    """The place of a checkpoint."""

    root: str
    """Root of the store that holds it."""
    directory: str
    """Its directory in that store."""


class Scorer:
    """A long-lived worker that scores one class after another.

    Running a unit again writes the same bytes.

    Args:
        root: root of the run.
        checkpoint: the scoring model.
        config: settings of the scores.
        device: device of the model.

    Raises: InputError if the device is a GPU, and there is none that torch can use.
    """

    def __init__(
        self,
        root: str,
        checkpoint: CheckpointPlace,
        config: DenoisingConfig,
        device: Literal["cpu", "cuda"],
    ) -> None:
        resolve_device(device, on_cpu="samplers.num_gpus=0")
        if device == "cpu":
            torch.set_num_threads(1)
        self._store = Store(root)
        self._config = config
        self._model, self._checkpoint = load_model(
            Store(checkpoint.root), checkpoint.directory, weights=config.weights, device=device
        )
        if isinstance(self._model.text_embedder, CaptionEmbedder):
            raise InputError(
                "scores.denoising.checkpoint must be of a model of classes, found one of captions "
                f"in {checkpoint.directory}"
            )

    def run(self, unit: ScoreUnit) -> UnitChanges:
        """Score one class.

        Raises: InputError if the scoring model expects inputs of another shape.
        """
        images = scored_images(self._store, unit.features, unit.class_name)
        source = Representation(self._store, unit.inputs)
        facts = source.metadata(unit.class_name)
        column = LATENT_COLUMN if unit.of_latents else PIXEL_COLUMN
        arrays = source.read(unit.class_name, images, (column,), mirrored=False)
        x = _inputs(torch.from_numpy(arrays[column][:, 0]), facts, of_latents=unit.of_latents)
        if tuple(x.shape[1:]) != self._model.image_shape:
            raise InputError(
                f"the scoring model must take inputs of the run's shape {tuple(x.shape[1:])}, "
                f"found {self._model.image_shape}"
            )

        labels = torch.full((len(x),), int(facts["class_index"]))
        objective = self._checkpoint.state.objective
        errors = denoising_errors(self._model, objective, x, labels, self._config)

        scores = ClassDifficulties(
            class_name=unit.class_name,
            class_index=int(facts["class_index"]),
            image_ids=[image_id for image_id, _ in images],
            difficulty=errors.numpy(),
            facts=self._facts(),
        )
        write_class_difficulties(self._store, unit.directory, scores, fingerprint=unit.fingerprint)
        return {}

    def _facts(self) -> dict[str, Any]:
        """Return the description of the scores that their file keeps, as JSON values."""
        return {
            "kind": "denoising",
            "hard": HARD_END["denoising"],
            "settings": self._config.model_dump(mode="json", exclude={"checkpoint"}),
            "times": score_times(self._config),
            "weights_sha256": self._checkpoint.state.files[self._config.weights].sha256,
        }


def scored_images(store: Store, features: str, class_name: str) -> list[tuple[str, str]]:
    """Return id and SHA-256 of the images of a class that have features.

    Raises: InputError if there are none.
    """
    images: list[tuple[str, str]] = []
    for file in class_files(store, features, class_name):
        table = read_columns(store, file, ("image_id", "sha256"))
        images += zip(table.column(0).to_pylist(), table.column(1).to_pylist(), strict=True)
    return sorted(images)


def _inputs(stored: torch.Tensor, facts: dict[str, Any], *, of_latents: bool) -> torch.Tensor:
    """Return the inputs of the model: scaled latents, or pixels from -1 to 1."""
    if not of_latents:
        return to_unit_range(stored)
    return (stored.float() - float(facts["shift_factor"])) * float(facts["scaling_factor"])
