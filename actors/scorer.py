"""The scoring actor: the denoising error of every image of a class."""

from typing import Any

import torch

from otcondense.datasets.images import WantedImage, load_images
from otcondense.datasets.records import SourceConfig
from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.difficulty import DenoisingConfig, denoising_errors, score_times
from otcondense.errors import InputError
from otcondense.store import ClassDifficulties, Representation, Store, write_class_difficulties
from otcondense.store.difficulties import HARD_END
from otcondense.store.images import to_unit_range


class Scorer:
    """A long-lived worker that scores one class after another; running a unit again writes the same bytes."""

    def __init__(
        self, store_root: str, place: tuple[str, str], config: dict[str, Any], device: str
    ) -> None:
        if device == "cpu":
            torch.set_num_threads(1)
        self._store, self._config = Store(store_root), DenoisingConfig(**config)
        self._model, self._checkpoint = load_model(
            Store(place[0]), place[1], weights=self._config.weights, device=device
        )

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Score one class.

        Args:
            unit: `class_name`, `class_index`, the `images` with their places, where their `latents` are (or None, for pixels), the
                `directory` of the result and its `fingerprint`.
        """
        x = self._latents(unit) if unit["latents"] else self._pixels(unit)
        if tuple(x.shape[1:]) != self._model.image_shape:
            raise InputError(
                f"the scoring model must be of inputs {tuple(x.shape[1:])} as the run's are, found {self._model.image_shape}"
            )
        labels = torch.full((len(x),), unit["class_index"])
        errors = denoising_errors(
            self._model, self._checkpoint.state["objective"], x, labels, self._config
        )
        facts = {
            "kind": "denoising",
            "hard": HARD_END["denoising"],
            "settings": self._config.model_dump(mode="json", exclude={"checkpoint"}),
            "times": score_times(self._config),
            "weights_sha256": self._checkpoint.state["files"][self._config.weights]["sha256"],
        }
        image_ids = [image["image_id"] for image in unit["images"]]
        scores = ClassDifficulties(
            unit["class_name"], unit["class_index"], image_ids, errors.numpy(), facts
        )
        write_class_difficulties(
            self._store, unit["directory"], scores, fingerprint=unit["fingerprint"]
        )
        return {"size": len(image_ids)}

    def _latents(self, unit: dict[str, Any]) -> torch.Tensor:
        source = Representation(self._store, unit["latents"], "jobs.score")
        facts = source.metadata(unit["class_name"])
        images = [(image["image_id"], image["sha256"]) for image in unit["images"]]
        mean = source.read(unit["class_name"], images, ("mean",), mirrored=False)["mean"][:, 0]
        return (torch.from_numpy(mean).float() - facts["shift_factor"]) * facts["scaling_factor"]

    def _pixels(self, unit: dict[str, Any]) -> torch.Tensor:
        wanted = [
            WantedImage(image["image_id"], unit["class_index"], image["path"], image["sha256"])
            for image in unit["images"]
        ]
        return to_unit_range(
            torch.from_numpy(
                load_images(wanted, SourceConfig(**unit["source"]), tuple(unit["shape"])).images
            )
        )
