"""The sampling actor: loads a checkpoint when it meets it, then samples one batch after another, one file each."""

from typing import Any

import ray
import torch

from otcondense.diffusion import Transformer
from otcondense.diffusion.checkpoint import Checkpoint, load_model
from otcondense.diffusion.sampler import Decode, SamplerConfig, sample_batch
from otcondense.diffusion.samples import samples_fingerprint, write_part
from otcondense.store import Store


class Sampler:
    """A long-lived worker that samples batches of any checkpoint; running a unit again writes the same bytes.

    Args:
        store_root: root of the run.
        device: where to compute.
    """

    def __init__(self, store_root: str, device: str = "cpu") -> None:
        if device == "cpu":
            torch.set_num_threads(1)
        self._store, self._device = Store(store_root), device
        self._decode: Decode | None = None
        self._loaded: tuple[tuple[str, str], tuple[Transformer, Checkpoint]] | None = None

    def run(self, unit: dict[str, Any]) -> dict[str, Any]:
        """Sample one batch into a file.

        Args:
            unit: `checkpoint` and `directory` relative to the root, the sampler's `config` as JSON, the `part` as
                `sampling_units` lists it, and for a model of latents the `autoencoder` as JSON.

        Returns: the number of images as `size`.
        """
        config, part = SamplerConfig(**unit["config"]), unit["part"]
        model, checkpoint = self._load(unit["checkpoint"], config.weights)
        indices = torch.arange(part["first"], part["first"] + part["count"])
        decode = self._decoder(unit["autoencoder"]) if "autoencoder" in unit else None
        images, labels = sample_batch(model, checkpoint.state["objective"], indices, config, decode)
        expected = samples_fingerprint(config, checkpoint.state)
        write_part(self._store, unit["directory"], part, (images.numpy(), labels.numpy()), expected)
        return {"size": part["count"]}

    def _decoder(self, settings: dict[str, Any]) -> Decode:
        if self._decode is None:
            from otcondense.representations import LatentConfig, LatentDecoder

            self._decode = LatentDecoder(LatentConfig(**settings))
        return self._decode

    def _load(self, checkpoint: str, weights: str) -> tuple[Transformer, Checkpoint]:
        if self._loaded is None or self._loaded[0] != (checkpoint, weights):
            model = load_model(self._store, checkpoint, weights=weights, device=self._device)
            self._loaded = ((checkpoint, weights), model)
        return self._loaded[1]


SamplerActor = ray.remote(Sampler)
