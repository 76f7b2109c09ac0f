"""Alignment of inner tokens with those of a self-supervised vision transformer; off by default.

Source: Yu et al., "Representation Alignment for Generation" (REPA, 2025), section 3; the visual
half of D2C's Attach (arXiv:2507.05914).
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from otcondense.diffusion.alignment_config import AlignmentConfig

__all__ = ["AlignmentConfig", "alignment_losses", "build_projector"]


def build_projector(width: int, token_width: int, config: AlignmentConfig) -> nn.Sequential:
    """Return the three layers that project the model's tokens to the width of the targets."""
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
    """Return minus the mean cosine of each image's projected tokens and targets, in [-1, 1]."""
    return -functional.cosine_similarity(projected.float(), tokens.float(), dim=-1).mean(dim=1)
