"""The configuration of the denoising difficulty; it needs no torch."""

from pydantic import Field

from otcondense.config import Config
from otcondense.diffusion.schedule_constants import NUM_TIMESTEPS


class DenoisingConfig(Config):
    """The frozen model that scores, and its timesteps."""

    checkpoint: str | None = None
    """Directory of the model's checkpoint: of this run (training/…/checkpoints/step-…), or an
    absolute path such as the output of `otcondense convert from-public`."""
    weights: str = "ema"
    """Averaged (ema) or last (model) weights."""
    num_timesteps: int = Field(default=10, ge=1, le=NUM_TIMESTEPS)
    """Number of timesteps, in the middle of as many equal parts of the way."""
    batch_size: int = Field(default=64, ge=1)
    """Images per forward pass; the last batch is padded."""
    seed: int = Field(default=0, ge=0)
    """Seed of the noise, the same for all images."""
