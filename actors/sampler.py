"""The sampling actor: loads a checkpoint once, then samples one batch after another."""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal, NamedTuple

import ray
import torch

from actors.units import UnitChanges
from otcondense.devices import resolve_device
from otcondense.diffusion.checkpoint import Checkpoint, load_model
from otcondense.diffusion.model import Transformer, compile_blocks
from otcondense.diffusion.prompts import PromptTable, read_prompt_table
from otcondense.diffusion.sampler import Decode, Prompted, SamplerConfig, sample_batch
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
    weak: str | None = None
    """Directory of the weak checkpoint of autoguidance; None without it."""
    prompts: str | None = None
    """File of the prompts of a model of captions; None for a model of classes."""


class _Key(NamedTuple):
    """What decides a loaded model."""

    place: str
    weights: str
    compiled: bool


def prompted_by(table: PromptTable) -> Prompted:
    """Return stored prompts as a model samples from them."""
    return Prompted(torch.from_numpy(table.embeddings), torch.from_numpy(table.class_index))


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
        self._loaded: dict[_Key, tuple[Transformer, Checkpoint]] = {}

    def run(self, unit: SampleUnit) -> UnitChanges:
        """Sample one batch into a file.

        Returns: the number of images as `size`.
        """
        part = unit.part
        (model, checkpoint), *others = self._load(unit)
        weak_model, weak = others[0] if others else (None, None)
        decode: Decode | None = None
        if unit.autoencoder is not None:
            decode = partial(self._decoder(unit.autoencoder), precision=unit.config.precision)
        indices = torch.arange(part.first, part.first + part.count)
        objective = checkpoint.state.objective
        table = None if unit.prompts is None else read_prompt_table(self._store, unit.prompts)
        prompted = None if table is None else prompted_by(table)
        images, labels = sample_batch(
            model, objective, indices, unit.config, decode, weak_model, prompted
        )

        # Of the checkpoints as they are now: if one has changed since the driver read it, the part
        # does not count as finished.
        weak_state = None if weak is None else weak.state
        mark = "" if table is None else table.mark
        written = samples_fingerprint(unit.config, checkpoint.state, weak_state, mark)
        samples = (images.numpy(), labels.numpy())
        texts = None
        if table is not None and prompted is not None:
            texts = [table.texts[row] for row in prompted.rows(indices, unit.config).tolist()]
        write_part(self._store, unit.directory, part, samples, written, texts)
        return {"size": part.count}

    def _decoder(self, config: LatentConfig) -> "LatentDecoder":
        """Return the decoder; a run has one."""
        if self._decode is None:
            from otcondense.representations import LatentDecoder

            self._decode = LatentDecoder(config.model_copy(update={"device": self._device}))
        return self._decode

    def _load(self, unit: SampleUnit) -> list[tuple[Transformer, Checkpoint]]:
        """Return the model of the unit, and the weak one if it has one; they stay in memory."""
        compiled = unit.config.compile_blocks and self._device != "cpu"
        places = [unit.checkpoint] if unit.weak is None else [unit.checkpoint, unit.weak]
        keys = [_Key(place, unit.config.weights, compiled) for place in places]
        self._loaded = {key: each for key, each in self._loaded.items() if key in keys}
        for key in keys:
            if key not in self._loaded:
                self._loaded[key] = self._read(key)
        return [self._loaded[key] for key in keys]

    def _read(self, key: _Key) -> tuple[Transformer, Checkpoint]:
        place, weights, compiled = key
        loaded = load_model(self._store, place, weights=weights, device=self._device)
        if compiled:
            compile_blocks(loaded[0])
        return loaded


SamplerActor = ray.remote(Sampler)
