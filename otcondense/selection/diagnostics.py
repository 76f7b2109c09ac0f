"""Diagnostics of a selection: facts about the computation, besides the subset."""

from dataclasses import dataclass, fields, replace
from typing import Any

from pydantic import JsonValue

COSTS = (
    "epsilon",
    "beta",
    "certified_error",
    "rounding_error",
    "transport_cost",
    "lp_value",
    "median_cost",
)
"""Diagnostics of the geometry-aware selector in units of the cost."""


@dataclass(frozen=True)
class Diagnostics:
    """Diagnostics of a selector that has none; other selectors add fields.

    A field is None if its value is not known.

    Examples
    --------
    >>> from otcondense.selection import KMedoidsSelector, as_json
    >>> selector = KMedoidsSelector(budget=1).fit([[0.0], [1.0], [5.0]])
    >>> as_json(selector.diagnostics_)
    {'evaluations': 3, 'swaps': 0, 'swap_gain': 0.0}
    """


@dataclass(frozen=True)
class GeometryAwareDiagnostics(Diagnostics):
    """Diagnostics of the geometry-aware selector."""

    exact_solves: int | None = None
    """Transport problems solved."""
    newton_steps: int | None = None
    """Newton iterations in all of them."""
    dual_points: int | None = None
    """Dual points at which all candidates were bounded."""
    rows_visited: int | None = None
    """Places of the subset for which the candidates were examined."""
    swaps: int | None = None
    """Swaps, those of rebuilds included."""
    screened: int | None = None
    """Candidates examined."""
    passes: int | None = None
    """Passes over the subset in the last swap stage."""
    undecided: int | None = None
    """Candidates neither better nor ruled out; if there are any, nothing is proven."""
    rebuilds: int | None = None
    """Rebuilds that found a better subset."""
    rebuild_solves: int | None = None
    """Problems solved in rebuilds, which `exact_solves` includes."""
    pruned_share: float | None = None
    """Share of the examined candidates that were not solved, 0 to 1."""
    epsilon: float | None = None
    """Entropic regularisation, in cost units."""
    alpha: float | None = None
    """Weight of the statistics term."""
    beta: float | None = None
    """Weight of the mean cross-entropy, in cost units per nat."""
    marginal_error: float | None = None
    """L1 error of the marginals of the final plan."""
    certified_error: float | None = None
    """Bound on the error of the transport value, in cost units."""
    rounding_error: float | None = None
    """Bound on the rounding error of the objective, in cost units."""
    transport_cost: float | None = None
    """<C, plan> of the final subset, in cost units."""
    lp_value: float | None = None
    """Transport value without regularisation, in cost units."""
    median_cost: float | None = None
    """Median cost of the class."""
    max_cost_over_epsilon: float | None = None
    """Largest cost of the class divided by epsilon."""
    gap: float | None = None
    """Share of the objective by which it may exceed the best one."""
    lower_bound_method: str | None = None
    """Method of the lower bound: enumeration or relaxation."""
    take_all: bool | None = None
    """True if the class was not larger than the budget and all of it was taken."""
    lowered_kappa: float | None = None
    """Capacity used, if the class has too few images for the one set."""

    def times(self, cost_unit: float) -> "GeometryAwareDiagnostics":
        """Return the diagnostics with every cost multiplied by a unit of cost."""
        changed: dict[str, Any] = {}
        for name in COSTS:
            value = getattr(self, name)
            if value is not None:
                changed[name] = value * cost_unit
        return replace(self, **changed)


def as_json(diagnostics: Diagnostics) -> dict[str, JsonValue]:
    """Return the known values by name, as they are stored in selection files."""
    known: dict[str, JsonValue] = {}
    for field in fields(diagnostics):
        value = getattr(diagnostics, field.name)
        if isinstance(value, tuple):
            known[field.name] = list(value)
        elif value is not None:
            known[field.name] = value
    return known
