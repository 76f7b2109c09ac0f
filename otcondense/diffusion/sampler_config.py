"""The configuration of the samplers; it needs no torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from otcondense.config import Config, without_defaults
from otcondense.diffusion.registry import AUTO, MOST_SHIFT, objective_entry, sampling_methods
from otcondense.diffusion.schedule_constants import NUM_TIMESTEPS
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean

LATER_FIELDS = frozenset(
    {
        "guidance_interval",
        "classes",
        "autoguidance",
        "noise_shift",
        "prompts",
        "samples_per_prompt",
    }
)
"""Fields that are newer than the first samples: left out of the identity at their default."""

SHIFTED_METHODS = (AUTO, "heun", "euler")
"""Methods whose steps can be shifted towards noise."""
SPEED_FIELDS = frozenset({"compile_blocks"})
"""Fields that change the samples of a GPU by rounding, as another GPU would, and none of a CPU."""


class AutoguidanceConfig(Config):
    """Guidance by an earlier checkpoint of the same training, the weak model."""

    checkpoint_step: int = Field(ge=1)
    """Step of the weak checkpoint, one of those that the training keeps. Checkpoints that are not
    later are sampled without guidance."""
    weight: float = Field(default=1.5, ge=0, allow_inf_nan=False)
    """Strength: weak + weight * (strong - weak); 1 turns it off."""


class SamplerConfig(Config):
    """How images are sampled from a trained model."""

    method: str = AUTO
    """Sampling method. SiT: heun or euler steps of the velocity, or sde, Euler-Maruyama steps of
    its stochastic equation. DiT: ddpm with learned variance, or deterministic ddim. auto takes heun
    or ddpm."""
    noise_shift: float = Field(default=1.0, ge=1, le=MOST_SHIFT)
    """Shift of the steps towards noise, for heun and euler: that of the training. 1 takes equal
    steps."""
    num_steps: int = Field(default=50, ge=1, le=NUM_TIMESTEPS)
    """Number of steps from noise to image; a Heun step calls the network twice."""
    cfg_scale: float = Field(default=1.5, ge=0, allow_inf_nan=False)
    """Strength of classifier-free guidance; 1 turns it off and halves the work."""
    guidance_channels: int | None = Field(default=None, ge=1)
    """Guide only the first channels (the public DiT guides 3 of its 4 latent channels); empty
    guides all."""
    guidance_interval: tuple[float, float] = (0.0, 1.0)
    """Part of the way from noise (0) to image (1) that is guided. Outside it the network is called
    once a step, without guidance."""
    autoguidance: AutoguidanceConfig | None = None
    """Guide by an earlier checkpoint in place of classifier-free guidance, which must be off
    (cfg_scale=1); guidance_channels and guidance_interval hold for it, too. Null guides by
    cfg_scale."""
    num_samples: int = Field(default=500, ge=1)
    """Number of images."""
    batch_size: int = Field(default=100, ge=1)
    """Images per batch; every batch has this size, the last one is padded."""
    labels: Literal["balanced", "random"] = "balanced"
    """Balanced gives image i the class i mod classes, random draws it."""
    classes: tuple[int, ...] = ()
    """Class indices to sample; empty takes the classes that the model was trained on."""
    prompts: str | None = None
    """File of prompts for a model of captions: text with one prompt a line, or .jsonl with prompt
    and class_name. Null takes the captions of the subset, in the order of its manifest."""
    samples_per_prompt: int = Field(default=1, ge=1)
    """Images of a prompt before the next one; after the last prompt comes the first one again."""
    clip: bool = True
    """Clip the predicted image to [-1, 1] at every DDPM or DDIM step: right for pixels, wrong for
    latents."""
    weights: Literal["ema", "model"] = "ema"
    """Averaged (ema) or last (model) weights."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Arithmetic of the network, and of the decoder of latents on a GPU; the state of the sampler
    is always float32."""
    compile_blocks: bool = False
    """Compile the transformer blocks on a GPU: a minute's start of each actor, then fewer and
    larger kernels. The CPU does not compile."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise and the random labels."""

    @model_validator(mode="after")
    def _check(self) -> "SamplerConfig":
        known = (AUTO, *sampling_methods())
        if self.method not in known:
            raise ValueError(
                f"method must be one of {', '.join(known)}, found {self.method!r}"
                f"{did_you_mean(self.method, known)}"
            )

        if self.noise_shift != 1 and self.method not in SHIFTED_METHODS:
            raise ValueError(
                f"noise_shift needs method {', '.join(SHIFTED_METHODS)}, found {self.method}; "
                "set noise_shift=1"
            )

        if self.autoguidance is not None and self.cfg_scale != 1:
            raise ValueError(
                "autoguidance takes the place of classifier-free guidance and needs cfg_scale=1, "
                f"found {self.cfg_scale}"
            )

        first, last = self.guidance_interval
        if not 0 <= first <= last <= 1:
            raise ValueError(
                f"guidance_interval must rise within 0 and 1, found {self.guidance_interval}"
            )

        repeated = len(set(self.classes)) < len(self.classes)
        if repeated or min(self.classes, default=0) < 0:
            raise ValueError(
                f"classes must be different class indices from 0, found {self.classes}"
            )
        return self

    @property
    def guidance_scale(self) -> float:
        """Strength of the guidance of either kind; 1 is none."""
        return self.cfg_scale if self.autoguidance is None else self.autoguidance.weight

    def at_step(self, step: int) -> "SamplerConfig":
        """Return the sampler of one checkpoint: those up to the weak one are not guided."""
        if self.autoguidance is None or step > self.autoguidance.checkpoint_step:
            return self
        return self.model_copy(update={"autoguidance": None})

    def used_prompts(self, count: int) -> int:
        """Return how many of `count` prompts have an image."""
        return min(count, -(-self.num_samples // self.samples_per_prompt))

    def identity(self) -> dict[str, Any]:
        """Return the settings that decide the content of samples, for names and fingerprints.

        A file of prompts is known by its name; its content is in the fingerprint of the samples.
        """
        kept = without_defaults(self, LATER_FIELDS)
        if self.prompts is not None:
            kept["prompts"] = Path(self.prompts).name
        return {name: value for name, value in kept.items() if name not in SPEED_FIELDS}


def of_trained(config: SamplerConfig, classes: Sequence[int], num_classes: int) -> SamplerConfig:
    """Return the sampler restricted to the classes that a model was trained on.

    The embeddings of the other classes are still random. A sampler that names its classes is
    returned as it is.

    Args:
        config: the sampler.
        classes: class indices with training images.
        num_classes: number of classes that the model knows.
    """
    if config.classes or len(classes) == num_classes:
        return config
    return config.model_copy(update={"classes": tuple(classes)})


def resolve_method(config: SamplerConfig, objective: str) -> str:
    """Return the sampling method for a model trained with `objective`.

    Raises: InputError if the method does not fit the objective.
    """
    entry = objective_entry(objective)
    if config.method == AUTO:
        return entry.default_method
    if config.method not in entry.methods:
        fitting = ", ".join((AUTO, *entry.methods))
        raise InputError(
            f"sampling method must be one of {fitting} for a model trained with {objective}, "
            f"found {config.method}"
        )
    return config.method
