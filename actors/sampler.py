"""The sampling actor: loads a checkpoint once, then samples one batch after another, one file each."""

from typing import Any

import ray
import torch

from otcondense.diffusion.checkpoint import load_model
from otcondense.diffusion.sampler import SamplerConfig, sample_batch
from otcondense.diffusion.samples import is_sampled, samples_fingerprint, write_part
from otcondense.store import Store


class Sampler:
    """Samples units of work; running one again writes the same bytes.

    Args:
        store_root: root of the run.
        checkpoint: directory of the checkpoint, relative to the root.
        config: the sampler's configuration as JSON.
        directory: where the parts go, relative to the root.
        device: where to compute.
    """

    def __init__(self, store_root: str, checkpoint: str, config: dict[str, Any], directory: str, device: str = "cpu") -> None:
        if device == "cpu":
            torch.set_num_threads(1)
        self._store, self._directory, self._config = Store(store_root), directory, SamplerConfig(**config)
        self._model, loaded = load_model(self._store, checkpoint, weights=self._config.weights, device=device)
        self._objective = loaded.state["objective"]
        self._fingerprint = samples_fingerprint(self._config, loaded.state)

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Sample the images `first` to `first + count` of `unit` into the file `name`, unless it is there already."""
        if is_sampled(self._store, self._directory, unit, self._fingerprint):
            return {"name": unit["name"], "count": unit["count"], "skipped": True}
        indices = torch.arange(unit["first"], unit["first"] + unit["count"])
        images, labels = sample_batch(self._model, self._objective, indices, self._config)
        write_part(self._store, self._directory, unit, (images.numpy(), labels.numpy()), self._fingerprint)
        return {"name": unit["name"], "count": unit["count"], "skipped": False}


SamplerActor = ray.remote(Sampler)
