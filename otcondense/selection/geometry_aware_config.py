"""Parameters of the geometry-aware selector."""

from typing import ClassVar, Literal

from pydantic import Field

from otcondense.selection.engine.lower_bound_config import LowerBoundConfig
from otcondense.selection.objective_config import ObjectiveConfig


class GeometryAwareConfig(ObjectiveConfig):
    """Parameters of the geometry-aware selector."""

    RETIRED: ClassVar[frozenset[str]] = frozenset({"device"})

    start: Literal["greedy", "k_medoids"] = "greedy"
    """Start of the swaps: the exact greedy choice under the same objective, or trimmed
    k-medoids."""
    reference: Literal["authors"] | None = None
    """Run the algorithm of the paper's published code instead, quirks included, always in its
    absolute units (epsilon is required)."""
    rebuilds: int | None = Field(default=None, ge=0)
    """Number of further searches after the first one; a better subset replaces the current one. The
    first starts from the subset that a smaller epsilon gives, the next from k-medoids, the others
    from the current subset with half of its images replaced at random (by `seed`). None is as many
    as solve no more problems than the first search (or 3 per image of the budget, if that is more),
    at most 16, if budget * images^2 is at most 16,000,000, else 0. No rebuild is started once the
    objective is within the tolerance of the lower bound."""
    swap_tolerance: float = Field(default=1e-8, gt=0, le=1e-2)
    """A swap is an improvement if it lowers the objective by more than this share of the median
    cost."""
    max_passes: int | None = Field(default=None, ge=0)
    """Passes over the chosen images before the search stops without a proof; None is no limit."""
    max_seconds: float | None = Field(default=None, ge=0)
    """Seconds before the search stops without a proof (the result then depends on the machine);
    None is no limit."""
    memory_limit_gb: float | None = Field(default=None, gt=0)
    """Refuse a class, before any allocation, if its forecast exceeds this many GB (1e9 bytes). None
    is 90 % of the memory of the machine."""
    lower_bound: LowerBoundConfig | None = LowerBoundConfig()
    """Work on the lower bound over all subsets (`lower_bound_`); None skips it."""
    threads: int | None = Field(default=None, ge=1)
    """Number of threads; None is torch's setting. The result does not depend on it."""
