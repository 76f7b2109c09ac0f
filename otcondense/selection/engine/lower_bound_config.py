"""Parameters of the lower bound."""

from pydantic import Field

from otcondense.config import Config


class LowerBoundConfig(Config):
    """Limits on the work of the lower bound.

    Examples
    --------
    >>> from otcondense.selection import GeometryAwareSelector, LowerBoundConfig
    >>> quick = GeometryAwareSelector(lower_bound=LowerBoundConfig(max_iterations=40))
    >>> quick.config.lower_bound.tolerance
    0.001
    """

    max_iterations: int = Field(default=120, ge=0)
    """Evaluations of the dual function over all rounds; 0 evaluates the starting point only."""
    tolerance: float = Field(default=1e-3, ge=0)
    """Stop when the bound is within this share of the objective."""
    enumerate_up_to: int = Field(default=2000, ge=0)
    """Solve every subset exactly if there are at most this many."""
    max_rows: int = Field(default=8192, ge=1)
    """Largest number of rows in a round, the cheapest ones; limits its memory to 8 bytes times this
    times the class size."""
