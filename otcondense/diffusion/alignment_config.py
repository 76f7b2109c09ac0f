"""The configuration of the alignment of tokens; it needs no torch."""

from pydantic import Field

from otcondense.config import Config


class AlignmentConfig(Config):
    """How strongly, and where in the model, tokens are aligned."""

    coefficient: float = Field(default=0.5, gt=0)
    """Weight of the alignment loss; the weight of the diffusion loss is 1."""
    depth: int = Field(default=8, ge=1)
    """Number of blocks after which the tokens are projected and compared."""
    hidden_width: int = Field(default=2048, ge=1)
    """Width of the projector's two hidden layers."""
