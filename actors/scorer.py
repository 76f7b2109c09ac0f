"""The scoring actor: the denoising error of every image of a class."""

from dataclasses import dataclass
from typing import Any

import torch

from actors.units import UnitChanges
from otcondense.datasets.images import WantedImage, load_images
from otcondense.datasets.records import SourceConfig
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.difficulty import DenoisingConfig, denoising_errors, score_times
from otcondense.errors import InputError
from otcondense.store import ClassDifficulties, Representation, Store, write_class_difficulties
from otcondense.store.images import to_unit_range
from otcondense.store.score_kinds import HARD_END


@dataclass(frozen=True)
class ScoreUnit:
    """The scoring of one class."""

    name: str
    class_name: str
    class_index: int
    images: tuple[WantedImage, ...]
    source: SourceConfig
    """The source of the images."""
    shape: tuple[int, int, int]
    """Channels, height and width of the pixels of the run."""
    latents: str | None
    """Directory of the latents, relative to the run; None to score pixels."""
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
    """

    def __init__(
        self, root: str, checkpoint: CheckpointPlace, config: DenoisingConfig, device: str
    ) -> None:
        if device == "cpu":
            torch.set_num_threads(1)
        self._store = Store(root)
        self._config = config
        self._model, self._checkpoint = load_model(
            Store(checkpoint.root), checkpoint.directory, weights=config.weights, device=device
        )

    def run(self, unit: ScoreUnit) -> UnitChanges:
        """Score one class.

        Raises: InputError if the scoring model expects inputs of another shape.
        """
        x = self._pixels(unit) if unit.latents is None else self._latents(unit, unit.latents)
        if tuple(x.shape[1:]) != self._model.image_shape:
            raise InputError(
                f"the scoring model must take inputs of the run's shape {tuple(x.shape[1:])}, "
                f"found {self._model.image_shape}"
            )

        labels = torch.full((len(x),), unit.class_index)
        objective = self._checkpoint.state.objective
        errors = denoising_errors(self._model, objective, x, labels, self._config)

        scores = ClassDifficulties(
            class_name=unit.class_name,
            class_index=unit.class_index,
            image_ids=[image.image_id for image in unit.images],
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

    def _latents(self, unit: ScoreUnit, directory: str) -> torch.Tensor:
        source = Representation(self._store, directory)
        images = []
        for image in unit.images:
            assert image.sha256 is not None, "features record the SHA-256 of each image"
            images.append((image.image_id, image.sha256))
        arrays = source.read(unit.class_name, images, ("mean",), mirrored=False)
        mean = torch.from_numpy(arrays["mean"][:, 0]).float()
        facts = source.metadata(unit.class_name)
        return (mean - float(facts["shift_factor"])) * float(facts["scaling_factor"])

    def _pixels(self, unit: ScoreUnit) -> torch.Tensor:
        loaded = load_images(list(unit.images), unit.source, unit.shape)
        return to_unit_range(torch.from_numpy(loaded.images))
