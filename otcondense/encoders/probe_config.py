"""Settings of the cross-fitted linear probe."""

from pydantic import Field

from otcondense.config import Config


class ProbeConfig(Config):
    """A cross-fitted linear probe."""

    folds: int = Field(default=5, ge=2, le=100)
    """Parts of the images; a probe that is fitted on the other parts judges each part."""
    l2: float = Field(default=0.01, gt=0)
    """Penalty: half of it times the sum of squared weights is added to the mean cross-entropy;
    larger values give less certain probes."""
    max_iterations: int = Field(default=200, ge=1)
    """Most L-BFGS steps of each fit; it stops earlier on convergence."""
