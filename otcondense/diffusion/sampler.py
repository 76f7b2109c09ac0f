"""Samplers: from noise to images with classifier-free guidance, each image a function of (seed, image index) alone."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int, UInt8
from pydantic import Field
from torch import Tensor

from otcondense.config import Config
from otcondense.diffusion.draws import SAMPLE, generator, stream
from otcondense.diffusion.gaussian import NUM_TIMESTEPS, GaussianSchedule, respaced_schedule
from otcondense.diffusion.images import to_bytes
from otcondense.diffusion.model import Transformer
from otcondense.diffusion.objectives import OBJECTIVES, NoiseObjective, VelocityObjective
from otcondense.errors import InputError

Predictor = Callable[[Tensor, float], Tensor]
LABEL, NOISE = 0, 1
DEFAULT_METHOD: dict[type, str] = {VelocityObjective: "heun", NoiseObjective: "ddpm"}


class SamplerConfig(Config):
    """How images are sampled from a trained model."""

    method: Literal["auto", "heun", "euler", "ddpm", "ddim"] = "auto"
    """Heun or Euler steps of the velocity (SiT), DDPM with learned variance or deterministic DDIM (DiT); auto takes heun or ddpm."""
    num_steps: int = Field(default=50, ge=1, le=NUM_TIMESTEPS)
    """Number of steps from noise to image; a Heun step calls the network twice."""
    cfg_scale: float = Field(default=1.5, ge=0)
    """Strength of classifier-free guidance; 1 is none and halves the work."""
    guidance_channels: int | None = Field(default=None, ge=1)
    """Guide only the first channels (the public DiT guides 3 of its 4 latent channels); empty guides all."""
    num_samples: int = Field(default=500, ge=1)
    """Number of images."""
    batch_size: int = Field(default=100, ge=1)
    """Images per batch; every batch has this size, the last one is padded."""
    labels: Literal["balanced", "random"] = "balanced"
    """Balanced gives image i the class i mod classes, random draws it."""
    clip: bool = True
    """Cut the predicted image to [-1, 1] at every DDPM or DDIM step: right for pixels, wrong for latents."""
    weights: Literal["ema", "model"] = "ema"
    """Averaged or last weights."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network; the state of the sampler is always float32."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise and the random labels."""


class ImageNoise:
    """Standard normal noise for several images, each from a stream of its own."""

    def __init__(self, seed: int, indices: Int[Tensor, " b"], shape: tuple[int, int, int], device: torch.device) -> None:
        self._generators = [generator(seed, SAMPLE, NOISE, int(index)) for index in indices]
        self._shape, self._device = shape, device

    def draw(self) -> Float[Tensor, "b c h w"]:
        """Return the next draw of every image."""
        return torch.stack([torch.randn(self._shape, generator=source) for source in self._generators]).to(self._device)


def image_labels(config: SamplerConfig, indices: Int[Tensor, " b"], num_classes: int) -> Int[Tensor, " b"]:
    """Return the class of each image."""
    if config.labels == "balanced":
        return indices % num_classes
    return torch.tensor([stream(config.seed, SAMPLE, LABEL, int(index)) % num_classes for index in indices], dtype=torch.long)


@dataclass(frozen=True)
class GuidedModel:
    """The network's output with guidance: out = null + cfg_scale * (class - null) on the guided channels.

    Source: Ho & Salimans, "Classifier-Free Diffusion Guidance" (2022), equation 6, with cfg_scale = 1 + w.
    """

    model: Transformer
    labels: Int[Tensor, " b"]
    config: SamplerConfig

    def __call__(self, x: Float[Tensor, "b c h w"], t: float) -> Float[Tensor, "b k h w"]:
        scale, times = self.config.cfg_scale, torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            if scale == 1:
                return self.model(x, times, self.labels).float()  # type: ignore[no-any-return]
            null = torch.full_like(self.labels, self.model.num_classes)
            both = self.model(torch.cat([x, x]), torch.cat([times, times]), torch.cat([self.labels, null])).float()
        of_class, of_null = both.chunk(2)
        guided = min(self.config.guidance_channels or x.shape[1], x.shape[1])
        mixed = of_null[:, :guided] + scale * (of_class[:, :guided] - of_null[:, :guided])
        return torch.cat([mixed, of_class[:, guided:]], dim=1)


def integrate(velocity: Predictor, x: Float[Tensor, "b c h w"], num_steps: int, *, heun: bool) -> Float[Tensor, "b c h w"]:
    """Return the solution at t = 1 of dx/dt = velocity(x, t) from `x` at t = 0, with equal steps of Heun (order 2) or Euler (order 1)."""
    for step in range(num_steps):
        start, end = step / num_steps, (step + 1) / num_steps
        slope = velocity(x, start)
        if heun:
            slope = (slope + velocity(x + (end - start) * slope, end)) / 2
        x = x + (end - start) * slope
    return x


@dataclass(frozen=True)
class ReverseStep:
    """Steps of the reverse Gaussian diffusion on a respaced schedule."""

    schedule: GaussianSchedule
    clip: bool

    def predict(self, output: Tensor, x: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Return the predicted clean images, and the noise that goes with them."""
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        noise = output[:, : x.shape[1]]
        data = self.schedule.data_from_noise(x, noise, t)
        if not self.clip:
            return data, noise
        data, kept = data.clamp(-1, 1), float(self.schedule.alphas_cumprod[step])
        return data, (x - math.sqrt(kept) * data) / math.sqrt(1 - kept)

    def ddpm(self, output: Tensor, x: Tensor, step: int, noise: Tensor) -> Tensor:
        """Sample p(x_{t-1} | x_t) with the learned variance. Source: Nichol & Dhariwal (2021), equation 15."""
        t = torch.full((len(x),), step, dtype=torch.long, device=x.device)
        mean = self.schedule.posterior_mean(self.predict(output, x, step)[0], x, t)
        log_variance = self.schedule.learned_log_variance(output[:, x.shape[1] :], t)
        return mean if step == 0 else torch.addcmul(mean, torch.exp(0.5 * log_variance), noise)

    def ddim(self, output: Tensor, x: Tensor, step: int) -> Tensor:
        """Take the deterministic step of Song et al., "Denoising Diffusion Implicit Models" (2021), equation 12 with sigma = 0."""
        data, noise = self.predict(output, x, step)
        kept = float(self.schedule.previous[step])
        return math.sqrt(kept) * data + math.sqrt(1 - kept) * noise


def resolve_method(config: SamplerConfig, objective: str) -> str:
    """Return the sampling method.

    Raises: InputError if the method does not fit what the model was trained to predict.
    """
    kind = OBJECTIVES[objective]
    method = DEFAULT_METHOD[type(kind)] if config.method == "auto" else config.method
    fitting = ("heun", "euler") if isinstance(kind, VelocityObjective) else ("ddpm", "ddim")
    if method not in fitting:
        raise InputError(f"sampling method must be auto, {' or '.join(fitting)} for a model trained with {objective}, found {method}")
    return method


@torch.inference_mode()
def sample_batch(
    model: Transformer, objective: str, indices: Int[Tensor, " b"], config: SamplerConfig
) -> tuple[UInt8[Tensor, "b c h w"], Int[Tensor, " b"]]:
    """Sample the images of at most `batch_size` indices.

    Args:
        model: trained model, on the device to compute on.
        objective: name in `OBJECTIVES` of what it was trained to predict.
        indices: image indices; they alone decide noise and class.
        config: the sampler.

    Returns: images as bytes and their classes, both on the CPU.

    Raises: InputError if the sampling method does not fit the objective.
    """
    assert 0 < len(indices) <= config.batch_size
    method = resolve_method(config, objective)
    padded = torch.cat([indices, indices[-1:].expand(config.batch_size - len(indices))])
    labels = image_labels(config, padded, model.num_classes)
    device = model.pos_embed.device
    noise = ImageNoise(config.seed, padded, model.image_shape, device)
    guided = GuidedModel(model, labels.to(device), config)
    if method in ("heun", "euler"):
        channels = model.image_shape[0]
        x = integrate(lambda x, t: guided(x, t)[:, :channels], noise.draw(), config.num_steps, heun=method == "heun")
    else:
        x = reverse(guided, noise, config, stochastic=method == "ddpm")
    return to_bytes(x)[: len(indices)].cpu(), labels[: len(indices)]


def reverse(guided: Predictor, noise: ImageNoise, config: SamplerConfig, *, stochastic: bool) -> Float[Tensor, "b c h w"]:
    """Return the end of the reverse diffusion that starts from the first draw of `noise`."""
    reverse_step = ReverseStep(respaced_schedule(config.num_steps), config.clip)
    x = noise.draw()
    for step in reversed(range(config.num_steps)):
        output = guided(x, float(reverse_step.schedule.timesteps[step]))
        x = reverse_step.ddpm(output, x, step, noise.draw()) if stochastic else reverse_step.ddim(output, x, step)
    return x
