"""The sampling actor: loads a checkpoint once, then samples one batch after another."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import ray
import torch

from otcondense.devices import resolve_device
from otcondense.diffusion.checkpoint import Checkpoint, load_model
from otcondense.diffusion.model import Transformer, compile_blocks
from otcondense.diffusion.sampler import Decode, SamplerConfig, sample_batch
from otcondense.diffusion.samples import SamplePart, samples_fingerprint, write_part
from otcondense.representations import LatentConfig
from otcondense.store import Store

if TYPE_CHECKING:
    from otcondense.representations import LatentDecoder


@dataclass(frozen=True)
class SampleUnit:
    """One batch of samples of one checkpoint."""

    name: str
    """Shown in the progress, the log and Ray's dashboard."""
    checkpoint: str
    """Directory of the checkpoint, relative to the root of the run."""
    directory: str
    """Directory of the samples, relative to the root of the run."""
    part: SamplePart
    config: SamplerConfig
    fingerprint: str
    """Of the samples, as the driver expects them."""
    autoencoder: LatentConfig | None = None
    """Decodes the samples of a model of latents; None for a model of pixels."""


class Sampler:
    """A worker that samples batches of any checkpoint; repeating a unit writes the same bytes.

    Args:
        store_root: root of the run.
        device: where to compute.

    Raises: InputError if the device is a GPU, and there is none that torch can use.
    """

    def __init__(self, store_root: str, device: Literal["cpu", "cuda"] = "cpu") -> None:
        self._device = resolve_device(device, on_cpu="samplers.num_gpus=0")
        if device == "cpu":
            torch.set_num_threads(1)
        self._store = Store(store_root)
        self._decode: LatentDecoder | None = None
        self._key: tuple[str, str, bool] | None = None
        self._loaded: tuple[Transformer, Checkpoint] | None = None

    def run(self, unit: SampleUnit) -> dict[str, int]:
        """Sample one batch into a file.

        Returns: the number of images as `size`.
        """
        part = unit.part
        model, checkpoint = self._load(unit.checkpoint, unit.config)
        decode: Decode | None = None
        if unit.autoencoder is not None:
            decode = partial(self._decoder(unit.autoencoder), precision=unit.config.precision)
        indices = torch.arange(part.first, part.first + part.count)
        images, labels = sample_batch(
            model, checkpoint.state.objective, indices, unit.config, decode
        )

        # Of the checkpoint as it is now: if it has changed since the driver read it, the part does
        # not count as finished.
        written = samples_fingerprint(unit.config, checkpoint.state)
        samples = (images.numpy(), labels.numpy())
        write_part(self._store, unit.directory, part, samples, written)
        return {"size": part.count}

    def _decoder(self, config: LatentConfig) -> "LatentDecoder":
        """Return the decoder; a run has one."""
        if self._decode is None:
            from otcondense.representations import LatentDecoder

            self._decode = LatentDecoder(config.model_copy(update={"device": self._device}))
        return self._decode

    def _load(self, checkpoint: str, config: SamplerConfig) -> tuple[Transformer, Checkpoint]:
        """Return the model of a checkpoint; the last one is kept in memory."""
        weights = config.weights
        compiled = config.compile_blocks and self._device != "cpu"
        key = (checkpoint, weights, compiled)
        if self._loaded is None or self._key != key:
            self._loaded = load_model(self._store, checkpoint, weights=weights, device=self._device)
            if compiled:
                compile_blocks(self._loaded[0])
            self._key = key
        return self._loaded


SamplerActor = ray.remote(Sampler)
