"""Alignment of inner tokens with those of a self-supervised vision transformer: one batched cosine, off by default.

Source: Yu et al., "Representation Alignment for Generation" (REPA, 2025), section 3; the visual half of D2C's Attach
(arXiv:2507.05914).
"""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from otcondense.config import Config


class AlignmentConfig(Config):
    """How strongly, and where in the model, tokens are aligned."""

    coefficient: float = Field(default=0.5, gt=0)
    """Weight of the alignment loss beside that of the diffusion."""
    depth: int = Field(default=8, ge=1)
    """Number of blocks after which the tokens are projected and compared."""
    hidden_width: int = Field(default=2048, ge=1)
    """Width of the projector's two hidden layers."""


def build_projector(width: int, token_width: int, config: AlignmentConfig) -> nn.Sequential:
    """Return the three layers that take the model's tokens to the width of the others."""
    hidden = config.hidden_width
    return nn.Sequential(
        nn.Linear(width, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, token_width),
    )


def alignment_losses(
    projected: Float[Tensor, "b t d"], tokens: Float[Tensor, "b t d"]
) -> Float[Tensor, " b"]:
    """Return minus the mean cosine between each image's projected tokens and its target's, in [-1, 1]."""
    return -functional.cosine_similarity(projected.float(), tokens.float(), dim=-1).mean(dim=1)
