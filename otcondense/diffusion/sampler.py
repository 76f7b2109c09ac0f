"""Samplers: from noise to images with classifier-free guidance, each image a function of (seed, image index) alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int, UInt8
from pydantic import Field, model_validator
from torch import Tensor

from otcondense.config import Config, without_defaults
from otcondense.diffusion.gaussian_diffusion import NUM_TIMESTEPS, respaced_schedule
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.objectives import OBJECTIVES, NoiseObjective, VelocityObjective
from otcondense.diffusion.random_streams import SAMPLE, generator, stream
from otcondense.diffusion.solvers import EulerMaruyama, ReverseStep, integrate, reverse
from otcondense.errors import InputError
from otcondense.store.images import to_bytes

Decode = Callable[[Tensor], Tensor]
"""From latents [b, c, h, w] to images in [-1, 1]."""
LATER_FIELDS = frozenset({"guidance_interval", "classes"})
LABEL, NOISE = 0, 1
DEFAULT_METHOD: dict[type, str] = {VelocityObjective: "heun", NoiseObjective: "ddpm"}


class SamplerConfig(Config):
    """How images are sampled from a trained model."""

    method: Literal["auto", "heun", "euler", "sde", "ddpm", "ddim"] = "auto"
    """Heun or Euler steps of the velocity or Euler-Maruyama steps of its stochastic equation (SiT), DDPM with learned variance or
    deterministic DDIM (DiT); auto takes heun or ddpm."""
    num_steps: int = Field(default=50, ge=1, le=NUM_TIMESTEPS)
    """Number of steps from noise to image; a Heun step calls the network twice."""
    cfg_scale: float = Field(default=1.5, ge=0)
    """Strength of classifier-free guidance; 1 is none and halves the work."""
    guidance_channels: int | None = Field(default=None, ge=1)
    """Guide only the first channels (the public DiT guides 3 of its 4 latent channels); empty guides all."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """Part of the way from noise (0) to image (1) that is guided; outside the network is called once a step, without guidance."""
    num_samples: int = Field(default=500, ge=1)
    """Number of images."""
    batch_size: int = Field(default=100, ge=1)
    """Images per batch; every batch has this size, the last one is padded."""
    labels: Literal["balanced", "random"] = "balanced"
    """Balanced gives image i the class i mod classes, random draws it."""
    classes: tuple[int, ...] = ()
    """Class indices to sample; empty takes those that the model was trained on."""
    clip: bool = True
    """Cut the predicted image to [-1, 1] at every DDPM or DDIM step: right for pixels, wrong for latents."""
    weights: Literal["ema", "model"] = "ema"
    """Averaged or last weights."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network; the state of the sampler is always float32."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise and the random labels."""

    @model_validator(mode="after")
    def _check(self) -> "SamplerConfig":
        first, last = self.guidance_interval
        if not 0 <= first <= last <= 1:
            raise ValueError(
                f"guidance_interval must rise within 0 and 1, found {self.guidance_interval}"
            )
        if len(set(self.classes)) < len(self.classes) or min(self.classes, default=0) < 0:
            raise ValueError(
                f"classes must be different class indices from 0, found {self.classes}"
            )
        return self

    def identity(self) -> dict[str, Any]:
        """Return what decides the content of samples, for names and fingerprints."""
        return without_defaults(self, LATER_FIELDS)


def of_trained(config: SamplerConfig, classes: Sequence[int], num_classes: int) -> SamplerConfig:
    """Return the sampler for a model of `num_classes` classes of which it was trained on `classes`: the embeddings of others are noise."""
    if config.classes or len(classes) == num_classes:
        return config
    return config.model_copy(update={"classes": tuple(classes)})


def image_labels(
    config: SamplerConfig, indices: Int[Tensor, " b"], num_classes: int
) -> Int[Tensor, " b"]:
    """Return the class of each image.

    Raises: InputError if the model of `num_classes` does not know a class that is asked for.
    """
    classes = torch.tensor(config.classes or range(num_classes))
    if int(classes.max()) >= num_classes:
        raise InputError(
            f"sampling.classes must be within 0 and {num_classes - 1}, which the model knows, found {int(classes.max())}"
        )
    if config.labels == "balanced":
        return classes[indices % len(classes)]
    return classes[
        [stream(config.seed, SAMPLE, LABEL, int(index)) % len(classes) for index in indices]
    ]


@dataclass(frozen=True)
class GuidedModel:
    """The network's output with guidance: out = null + cfg_scale * (class - null) on the guided channels.

    Source: Ho & Salimans, "Classifier-Free Diffusion Guidance" (2022), equation 6, with cfg_scale = 1 + w.
    """

    model: Transformer
    labels: Int[Tensor, " b"]
    config: SamplerConfig
    noise_time: float = 0.0
    """Time of pure noise, and below that of clean images: where on the way a step is."""
    data_time: float = 1.0

    def scale(self, t: float) -> float:
        """Return the strength of guidance at time t."""
        first, last = self.config.guidance_interval
        inside = first <= (t - self.noise_time) / (self.data_time - self.noise_time) <= last
        return self.config.cfg_scale if inside else 1.0

    def __call__(self, x: Float[Tensor, "b c h w"], t: float) -> Float[Tensor, "b k h w"]:
        scale, times = self.scale(t), torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        with torch.autocast(
            x.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bfloat16"
        ):
            if scale == 1:
                return self._output(x, times, self.labels)
            null = torch.full_like(self.labels, self.model.num_classes)
            both = self._output(
                torch.cat([x, x]), torch.cat([times, times]), torch.cat([self.labels, null])
            )
        of_class, of_null = both.chunk(2)
        guided = min(self.config.guidance_channels or x.shape[1], x.shape[1])
        mixed = of_null[:, :guided] + scale * (of_class[:, :guided] - of_null[:, :guided])
        return torch.cat([mixed, of_class[:, guided:]], dim=1)

    def _output(self, x: Tensor, times: Tensor, labels: Tensor) -> Tensor:
        out = self.model(x, times, labels)
        assert isinstance(out, Tensor), "a model that samples is not in training mode"
        return out.float()


def resolve_method(config: SamplerConfig, objective: str) -> str:
    """Return the sampling method.

    Raises: InputError if the method does not fit what the model was trained to predict.
    """
    kind = OBJECTIVES[objective]
    method = DEFAULT_METHOD[type(kind)] if config.method == "auto" else config.method
    fitting = ("heun", "euler", "sde") if isinstance(kind, VelocityObjective) else ("ddpm", "ddim")
    if method not in fitting:
        raise InputError(
            f"sampling method must be auto, {', '.join(fitting[:-1])} or {fitting[-1]} for a model trained with {objective}, found {method}"
        )
    return method


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
        self._shape, self._device = shape, device

    def draw(self) -> Float[Tensor, "b c h w"]:
        """Return the next draw of every image."""
        return torch.stack(
            [torch.randn(self._shape, generator=source) for source in self._generators]
        ).to(self._device)


@torch.inference_mode()
def sample_batch(
    model: Transformer,
    objective: str,
    indices: Int[Tensor, " b"],
    config: SamplerConfig,
    decode: Decode | None = None,
) -> tuple[UInt8[Tensor, "b c h w"], Int[Tensor, " b"]]:
    """Sample the images of at most `batch_size` indices.

    Args:
        model: trained model, on the device to compute on.
        objective: name in `OBJECTIVES` of what it was trained to predict.
        indices: image indices; they alone decide noise and class.
        config: the sampler.
        decode: what turns the model's latents into images; None where it samples pixels.

    Returns: images as bytes and their classes, both on the CPU.

    Raises: InputError if the sampling method does not fit the objective, or the model does not know a class.
    """
    assert 0 < len(indices) <= config.batch_size
    padded = torch.cat([indices, indices[-1:].expand(config.batch_size - len(indices))])
    labels = image_labels(config, padded, model.num_classes)
    device = model.pos_embed.device
    noise = ImageNoise(config.seed, padded, model.image_shape, device)
    x = _solve(model, objective, labels.to(device), config, noise)
    images = to_bytes(x if decode is None else decode(x))
    return images[: len(indices)].cpu(), labels[: len(indices)]


def _solve(
    model: Transformer,
    objective: str,
    labels: Int[Tensor, " b"],
    config: SamplerConfig,
    noise: ImageNoise,
) -> Tensor:
    """Return images or latents at the end of the way from the first draw of `noise`."""
    method, kind = resolve_method(config, objective), OBJECTIVES[objective]
    if not isinstance(kind, VelocityObjective):
        guided = GuidedModel(model, labels, config, noise_time=NUM_TIMESTEPS - 1.0, data_time=0.0)
        step = ReverseStep(respaced_schedule(config.num_steps), config.clip)
        return reverse(step, guided, noise, stochastic=method == "ddpm")
    guided, channels = GuidedModel(model, labels, config), model.image_shape[0]

    def velocity(x: Tensor, t: float) -> Tensor:
        return guided(x, t)[:, :channels]

    if method == "sde":
        return EulerMaruyama(kind.interpolant, config.num_steps)(velocity, noise)
    return integrate(velocity, noise.draw(), config.num_steps, heun=method == "heun")
