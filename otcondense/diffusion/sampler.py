"""Samplers: from noise to images, with classifier-free guidance or autoguidance.

Each image is a function of (seed, image index) alone, so the division into batches does not matter.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float16, Int, UInt8
from torch import Tensor

from otcondense.diffusion.batches import batches
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.objectives import load_objective
from otcondense.diffusion.random_streams import SAMPLE, generator, moved, stream
from otcondense.diffusion.registry import check_noise_shift
from otcondense.diffusion.sampler_config import SamplerConfig, of_trained, resolve_method
from otcondense.diffusion.solvers import Noise, SolverSettings
from otcondense.diffusion.text import CaptionEmbedder
from otcondense.errors import InputError
from otcondense.store.images import to_bytes

__all__ = [
    "Decode",
    "GuidedModel",
    "ImageNoise",
    "Prompted",
    "SamplerConfig",
    "image_labels",
    "of_trained",
    "resolve_method",
    "sample_batch",
]

Decode = Callable[[Tensor], Tensor]
"""From latents [b, c, h, w] to images in [-1, 1]."""
LABEL = 0
"""Key of the random stream that draws an image's class."""
NOISE = 1
"""Key of the random stream that draws an image's noise."""


def image_labels(
    config: SamplerConfig, indices: Int[Tensor, " b"], num_classes: int
) -> Int[Tensor, " b"]:
    """Return the class of each image.

    Raises: InputError if a requested class is unknown to the model of `num_classes`.
    """
    classes = torch.tensor(config.classes or range(num_classes))
    if int(classes.max()) >= num_classes:
        raise InputError(
            f"sampling.classes must be within 0 and {num_classes - 1}, the classes of the model, "
            f"found {int(classes.max())}"
        )
    if config.labels == "balanced":
        return classes[indices % len(classes)]
    drawn = [stream(config.seed, SAMPLE, LABEL, int(index)) % len(classes) for index in indices]
    return classes[drawn]


@dataclass(frozen=True)
class Texts:
    """The captions that images are sampled from."""

    of_images: Float16[Tensor, "b words e"]
    """Embedding of the caption of each image."""
    none: Float16[Tensor, "b words e"]
    """Embedding of no caption, for each."""


@runtime_checkable
class SamplingModel(Protocol):
    """A model that samples, or several of one shape whose images lie one after another."""

    @property
    def num_classes(self) -> int:
        """Classes; it is also the index of the null class."""

    def __call__(self, x: Tensor, t: Tensor, labels: Tensor) -> object:
        """Return the raw output [n, k, h, w] for images [n, c, h, w]."""


@dataclass(frozen=True)
class GuidedModel:
    """The network's output with guidance.

    The guided channels are null + cfg_scale * (class - null), or with a weak model
    weak + weight * (strong - weak), both for the class.

    Source: Ho & Salimans, "Classifier-Free Diffusion Guidance" (2022), equation 6, with
    cfg_scale = 1 + w; Karras et al., "Guiding a Diffusion Model with a Bad Version of Itself"
    (arXiv:2406.02507), equation 5.
    """

    model: SamplingModel
    labels: Int[Tensor, " b"]
    config: SamplerConfig
    noise_time: float = 0.0
    """Timestep of pure noise."""
    data_time: float = 1.0
    """Timestep of clean images."""
    weak: SamplingModel | None = None
    """The weak model of autoguidance."""
    text: Texts | None = None
    """Captions, for a model of captions."""

    def scale(self, t: float) -> float:
        """Return the strength of guidance at time t."""
        first, last = self.config.guidance_interval
        way = (t - self.noise_time) / (self.data_time - self.noise_time)
        return self.config.guidance_scale if first <= way <= last else 1.0

    def __call__(self, x: Float[Tensor, "b c h w"], t: float) -> Float[Tensor, "b k h w"]:
        scale = self.scale(t)
        times = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        rounded = self.config.precision == "bfloat16"
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=rounded):
            if scale == 1:
                return _output(self.model, x, times, self.labels, self._captions)
            good, bad = self._outputs(x, times)

        guided = min(self.config.guidance_channels or x.shape[1], x.shape[1])
        mixed = bad[:, :guided] + scale * (good[:, :guided] - bad[:, :guided])
        return torch.cat([mixed, good[:, guided:]], dim=1)

    @property
    def _captions(self) -> Tensor | None:
        return None if self.text is None else self.text.of_images

    def _outputs(self, x: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output to lead to, and the one to lead away from."""
        if self.weak is not None:
            good = _output(self.model, x, times, self.labels, self._captions)
            return good, _output(self.weak, x, times, self.labels, self._captions)
        null = torch.full_like(self.labels, self.model.num_classes)
        labels = torch.cat([self.labels, null])
        text = None
        if self.text is not None:
            text = torch.cat([self.text.of_images, self.text.none])
        both = _output(self.model, torch.cat([x, x]), torch.cat([times, times]), labels, text)
        of_class, of_null = both.chunk(2)
        return of_class, of_null


def _output(
    model: SamplingModel, x: Tensor, times: Tensor, labels: Tensor, text: Tensor | None
) -> Tensor:
    out: object
    if text is None:
        out = model(x, times, labels)
    else:
        assert isinstance(model, Transformer), "an ensemble has no captions"
        out = model(x, times, labels, text)
    assert isinstance(out, Tensor), "a model that samples is not in training mode"
    return out.float()


@dataclass(frozen=True, eq=False)
class Prompted:
    """Prompts with their classes, as a model of captions samples from them."""

    embeddings: Float16[Tensor, "p words e"]
    labels: Int[Tensor, " p"]

    def rows(self, indices: Int[Tensor, " b"], config: SamplerConfig) -> Int[Tensor, " b"]:
        """Return the prompt of each image: so many images of each in turn."""
        return (indices // config.samples_per_prompt) % len(self.labels)


class ImageNoise:
    """Standard normal noise for several images, each from a stream of its own."""

    def __init__(
        self,
        seed: int,
        indices: Int[Tensor, " b"],
        shape: tuple[int, int, int],
        device: torch.device,
    ) -> None:
        self._generators = [generator(seed, SAMPLE, NOISE, int(index)) for index in indices]
        self._shape = shape
        self._device = device

    def draw(self) -> Float[Tensor, "b c h w"]:
        """Return the next draw of every image."""
        drawn = [torch.randn(self._shape, generator=source) for source in self._generators]
        return moved(torch.stack(drawn), self._device)


@dataclass(frozen=True)
class DrawnAhead:
    """The same noise, drawn by a thread while the device computes."""

    draw: Callable[[], Tensor]
    """Returns the next draw of every image."""


@contextmanager
def noise_ahead(noise: Noise, draws: int, device: torch.device) -> Iterator[Noise]:
    """Yield `noise`; for another device than the CPU, a thread makes up to `draws` ahead.

    The numbers and their order are the same.
    """
    ahead = device.type != "cpu"
    with batches(lambda _: noise.draw(), range(draws), str(device), ahead=ahead) as take:
        yield DrawnAhead(take)


@torch.inference_mode()
def sample_batch(
    model: Transformer,
    objective: str,
    indices: Int[Tensor, " b"],
    config: SamplerConfig,
    decode: Decode | None = None,
    weak: Transformer | None = None,
    prompts: Prompted | None = None,
) -> tuple[UInt8[Tensor, "b c h w"], Int[Tensor, " b"]]:
    """Sample the images of at most `batch_size` indices.

    The network always gets a full batch, or two with classifier-free guidance, in one call: one
    compiled graph serves all of them.

    Args:
        model: trained model, on the device to compute on.
        objective: name in `OBJECTIVES` of the objective it was trained with.
        indices: image indices; they alone decide noise and class.
        config: the sampler.
        decode: turns the model's latents into images; None for a model of pixels.
        weak: the weak model of autoguidance, of the same training; None without autoguidance.
        prompts: what a model of captions samples from; None samples it without captions.

    Returns: images as bytes and their classes, both on the CPU.

    Raises: InputError if the sampling method does not fit the objective, or a requested class is
        unknown to the model.
    """
    assert 0 < len(indices) <= config.batch_size
    assert (weak is None) == (config.autoguidance is None), "autoguidance needs its weak model"
    spare = config.batch_size - len(indices)
    padded = torch.cat([indices, indices[-1:].expand(spare)])
    device = model.pos_embed.device
    text = None
    if prompts is None:
        labels = image_labels(config, padded, model.num_classes)
    else:
        rows = prompts.rows(padded, config)
        labels = prompts.labels[rows]
        text = _texts(model, prompts.embeddings[rows], device)
    noise = ImageNoise(config.seed, padded, model.image_shape, device)
    # The first draw is the start, and no method draws more than once a step.
    with noise_ahead(noise, 1 + config.num_steps, device) as ready:
        x = solve((model, weak), objective, moved(labels, device), config, ready, text)

    images = to_bytes(x if decode is None else decode(x))
    return images[: len(indices)].cpu(), labels[: len(indices)]


def _texts(model: Transformer, embeddings: Tensor, device: torch.device) -> Texts:
    embedder = model.text_embedder
    assert isinstance(embedder, CaptionEmbedder), "prompts are for models of captions"
    return Texts(moved(embeddings, device), embedder.none(len(embeddings)))


def solve(
    models: tuple[SamplingModel, SamplingModel | None],
    objective: str,
    labels: Int[Tensor, " b"],
    config: SamplerConfig,
    noise: Noise,
    text: Texts | None = None,
) -> Tensor:
    """Return images or latents, sampled from the first draw of `noise`.

    The models are the one to sample from, and the weak one of autoguidance. Models of captions get
    `text`.
    """
    check_noise_shift(config.noise_shift, objective)
    method = resolve_method(config, objective)
    settings = SolverSettings(method, config.num_steps, config.clip, config.noise_shift)
    trained_with = load_objective(objective)
    times = (trained_with.noise_time, trained_with.data_time)
    guided = GuidedModel(models[0], labels, config, *times, weak=models[1], text=text)
    return trained_with.sample(guided, noise, settings)
