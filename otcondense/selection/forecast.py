"""Forecast of the memory and time of a class, before any allocation."""

from dataclasses import dataclass

from otcondense.errors import InputError
from otcondense.machine import total_memory
from otcondense.selection.candidates import Candidates
from otcondense.selection.engine.lower_bound_config import LowerBoundConfig
from otcondense.selection.large_class import has_cost_rows

DOUBLE = 8
"""Bytes of a float64."""
PROCESS_BYTES = 200 << 20
"""Memory besides the arrays."""
POINTS_PER_CHOSEN = 8
"""Dual points evaluated for each chosen image, about."""
SECONDS_PER_PAIR = 6e-9
"""Seconds for one entry of the cost matrix at one dual point, on two CPU cores."""
SECONDS_PER_PRODUCT = 4e-11
"""Seconds for one multiplication in the distances, on two CPU cores."""
LARGE_SECONDS_PER_PAIR = 1.4e-9
"""The same for a large class, whose kernel is float32 and visited in blocks."""
LARGE_DISTANCES = 2
"""Times that all distances of a large class are computed: for the median, and for the kernel."""
KERNEL_BYTES = 4
"""Bytes a pair that a large class holds at most: one float32 kernel."""
LARGE_ROWS = 6
"""Arrays of n x d float64 that a large class holds."""
BASELINE_MATRICES = 4
"""Matrices of n x n float64 that k-medoids, SubZeroCore and UniPROT hold at their peak: measured
for a class of 4,000 images."""
USABLE_SHARE = 0.9
"""Share of the memory that a class may need if no limit is set."""


@dataclass(frozen=True)
class Forecast:
    """Peak memory in bytes and time in seconds on two CPU cores.

    The time is right within a factor of a few.
    """

    memory_bytes: int
    seconds: float


def forecast(
    size: int,
    width: int,
    budget: int,
    *,
    full_statistics: bool = False,
    cost_is_given: bool = False,
) -> Forecast:
    """Return the memory and time to select `budget` of `size` images with `width` features.

    Without the lower bound, whose time depends on its settings.

    The cost matrix, its kernel and their intermediate results dominate the memory (24 bytes per
    pair). The bounds at about 8 dual points per chosen image dominate the time. A large class holds
    one float32 kernel or, for the lower bound, two float32 matrices of its cheapest rows.
    """
    if has_cost_rows(size, cost_is_given=cost_is_given):
        return _large_forecast(size, width, budget)
    pairs = size * size
    matrices = 6 if full_statistics else 3
    rows = 4 * size * width
    memory = DOUBLE * (matrices * pairs + rows + 6 * budget * size) + PROCESS_BYTES
    distances = SECONDS_PER_PRODUCT * pairs * width
    bounds = SECONDS_PER_PAIR * pairs * POINTS_PER_CHOSEN * budget
    return Forecast(memory, distances + bounds)


def _large_forecast(size: int, width: int, budget: int) -> Forecast:
    """Return the same for a class whose costs are computed in rows."""
    pairs = size * size
    bound_rows = min(size, LowerBoundConfig().max_rows)
    matrices = KERNEL_BYTES * max(pairs, 2 * bound_rows * size)
    rows = DOUBLE * (LARGE_ROWS * size * width + 6 * budget * size)
    distances = LARGE_DISTANCES * SECONDS_PER_PRODUCT * pairs * width
    bounds = LARGE_SECONDS_PER_PAIR * pairs * POINTS_PER_CHOSEN * budget
    return Forecast(matrices + rows + PROCESS_BYTES, distances + bounds)


def check_costs(candidates: Candidates) -> None:
    """Refuse a class whose [n, n] costs and savings a baseline could not hold in memory.

    Raises: InputError with the need and the memory.
    """
    needed = DOUBLE * BASELINE_MATRICES * candidates.size**2 + PROCESS_BYTES
    limit = USABLE_SHARE * available_memory()
    if needed > limit:
        raise InputError(
            f"the costs of a class must fit into memory ({limit / 1e9:.2f} GB), found "
            f"{candidates.size} images, which need {needed / 1e9:.2f} GB; split the class, or "
            "choose a method that holds no costs, such as k_means"
        )


def available_memory() -> int:
    """Return the memory of the machine in bytes."""
    return total_memory()


def check_memory(
    candidates: Candidates,
    limit_gb: float | None,
    *,
    budget: int = 1,
    full_statistics: bool = False,
) -> Forecast:
    """Refuse a class that would not fit into memory.

    Raises: InputError with the forecast and the limit.
    """
    width = 0 if candidates.features is None else candidates.features.shape[1]
    expected = forecast(
        candidates.size,
        width,
        budget,
        full_statistics=full_statistics,
        cost_is_given=candidates.cost is not None,
    )
    limit = USABLE_SHARE * available_memory() if limit_gb is None else limit_gb * 1e9
    if expected.memory_bytes > limit:
        raise InputError(
            f"a class of {candidates.size} images must fit into memory_limit_gb "
            f"({limit / 1e9:.2f} GB), found a forecast of {expected.memory_bytes / 1e9:.2f} GB; "
            "raise the limit or split the class"
        )
    return expected
