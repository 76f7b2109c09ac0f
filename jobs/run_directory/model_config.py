"""The configuration of generative models, and of what they are trained on."""

from typing import Literal

from pydantic import Field, model_validator

from otcondense.config import Config
from otcondense.diffusion import SamplerConfig, TrainingConfig
from otcondense.diffusion.denoising_config import DenoisingConfig
from otcondense.diffusion.registry import check_noise_shift, resolve_objective
from otcondense.encoders.margins_config import MarginConfig


class ScoresConfig(Config):
    """Difficulty scores of images (`otcondense score`)."""

    denoising: DenoisingConfig = DenoisingConfig()
    """Error of a frozen diffusion model, the score of D2C: high is hard."""
    aum: MarginConfig = MarginConfig()
    """Area under the margin while a classifier trains, the score of CCS: low is hard."""


class PixelConfig(Config):
    """The images that models are trained on and that their samples are."""

    size: int = Field(default=8, ge=2)
    """Height and width in pixels; images are centre-cropped and resized to it."""
    channels: Literal[1, 3] = 1
    """Colour channels: 3 is RGB, 1 is grey."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        return self.channels, self.size, self.size


class ModelConfigs(Config):
    """One generative model: its training and its sampling."""

    training: TrainingConfig
    """Training on each of the listed subsets."""
    sampling: SamplerConfig
    """Sampling from each of its checkpoints."""

    @model_validator(mode="after")
    def _check(self) -> "ModelConfigs":
        if self.training.data == "latents" and self.sampling.clip:
            raise ValueError(
                "sampling.clip must be false for a model of latents, "
                "which are not confined to [-1, 1]; found true"
            )
        objective = resolve_objective(self.training.objective, self.training.model)
        check_noise_shift(self.sampling.noise_shift, objective)
        self._check_autoguidance()
        self._check_prompts()
        return self

    def _check_prompts(self) -> None:
        """Refuse prompts for a model without captions, and classes in place of prompts."""
        sampling = self.sampling
        if self.training.has_captions:
            if sampling.classes or sampling.labels != "balanced":
                raise ValueError(
                    "sampling.classes and sampling.labels are for models of classes, found "
                    "training.text=captions, whose classes come with the prompts; leave them out"
                )
        elif sampling.prompts is not None or sampling.samples_per_prompt != 1:
            raise ValueError(
                "sampling.prompts and sampling.samples_per_prompt need training.text=captions, "
                f"found {str(self.training.text).lower()}; leave them out"
            )

    def _check_autoguidance(self) -> None:
        weak = self.sampling.autoguidance
        steps = self.training.kept_steps
        if weak is not None and weak.checkpoint_step not in steps[:-1]:
            raise ValueError(
                "sampling.autoguidance.checkpoint_step must be one of training.checkpoint_steps "
                f"before the last step {steps[-1]}, found {weak.checkpoint_step}; the training "
                f"keeps {', '.join(str(step) for step in steps)}"
            )
