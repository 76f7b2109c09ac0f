"""What a finished search tells: terms, masses, assignment, diagnostics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from otcondense.ot import PartialOutput
from otcondense.ot.exact import linear_value
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search


@dataclass(frozen=True)
class Outcome:
    """Results of one class, on the CPU."""

    objective: float
    terms: dict[str, float]
    represented_mass: Float[np.ndarray, " n"]
    assignment: Int[np.ndarray, " n"]
    diagnostics: dict[str, Any]


def describe(search: Search, problem: SubsetProblem) -> Outcome:
    """Solve the final subset from a cold start, so that the result does not depend on the path to it, and read off what it says."""
    output = problem.transport(search.subset)
    terms = problem.terms(search.subset, output)
    mass, assignment = _representation(search.subset, output)
    return Outcome(
        sum(terms.values()), terms, mass, assignment, _diagnostics(search, problem, output)
    )


def _representation(
    subset: list[int], output: PartialOutput
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Mass that each class image receives, and the chosen image that sends it most; -1 where more of its capacity stays unused."""
    mass = output.plan.sum(dim=0)
    names = np.asarray(subset, dtype=np.int64)[output.plan.argmax(dim=0).cpu().numpy()]
    left_out = (mass < output.problem.column_mass - mass).cpu().numpy()
    return mass.cpu().numpy(), np.where(left_out, -1, names)


def _diagnostics(search: Search, problem: SubsetProblem, output: PartialOutput) -> dict[str, Any]:
    counts = search.counts
    return {
        **counts,
        "pruned_share": 1 - counts["exact_solves"] / max(1, counts["screened"]),
        "epsilon": problem.epsilon,
        "alpha": problem.alpha,
        "beta": problem.beta,
        "marginal_error": float(output.marginal_error),
        "certified_error": float(output.certified_error),
        "transport_cost": float(output.transport_cost),
        "lp_value": linear_value(output.problem),
    }
