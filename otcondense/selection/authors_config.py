"""Parameters of the authors' selection."""

from pydantic import Field

from otcondense.config import Config


class AuthorsSettings(Config):
    """Parameters in absolute units; the defaults are the authors' for Inception features."""

    budget: int = Field(default=10, ge=1)
    """Number of images to choose from the class."""
    epsilon: float = Field(default=12.0, gt=0)
    """Entropic regularisation, in units of the squared distance."""
    kappa: float = Field(default=1.05, ge=1)
    """Capacity of each class image, as a multiple of its uniform share."""
    alpha: float = Field(default=6.0, ge=0)
    """Weight of the moment term."""
    beta: float = Field(default=1200.0, ge=0)
    """Weight of the cross-entropy."""
    iterations: int = Field(default=20, ge=1)
    """Sinkhorn iterations for each candidate, converged or not."""
    max_swaps: int = Field(default=30, ge=0)
    """Passes of the swap stage; each makes at most one swap."""
    batch_size: int = Field(default=256, ge=1)
    """Number of candidate sets evaluated at a time; it does not change any result."""
