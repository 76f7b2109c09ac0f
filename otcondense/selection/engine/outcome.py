"""Results of a finished search: terms, masses, assignment, diagnostics."""

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot import PartialOutput
from otcondense.ot.exact import linear_value
from otcondense.selection.diagnostics import GeometryAwareDiagnostics
from otcondense.selection.engine.problem import SubsetProblem
from otcondense.selection.engine.search import Search


@dataclass(frozen=True)
class Outcome:
    """Results of one class, on the CPU."""

    objective: float
    terms: dict[str, float]
    received_mass: Float[np.ndarray, " n"]
    assignment: Int[np.ndarray, " n"]
    potentials: Float[Tensor, " k"]
    """Dual values of the chosen images."""
    diagnostics: GeometryAwareDiagnostics


def describe(search: Search, problem: SubsetProblem) -> Outcome:
    """Solve the final subset and collect its results.

    It is solved from a cold start, so that the results do not depend on the path of the search.
    """
    output = problem.transport(search.subset)
    terms = problem.terms(search.subset, output)
    mass, assignment = _representation(search.subset, output)
    diagnostics = _diagnostics(search, problem, output)
    objective = sum(terms.values())
    return Outcome(objective, terms, mass, assignment, output.f, diagnostics)


def _representation(
    subset: list[int], output: PartialOutput
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Return the mass that each class image receives, and the chosen image that sends it most.

    The latter is -1 if more than half of the image's capacity is unused. The plan of a solver that
    did not converge is rounded to one with the prescribed masses.
    """
    plan = output.plan
    if not bool(output.converged):
        plan = output.feasible_plan[: output.problem.num_rows]
    mass = plan.sum(dim=0)
    sender = plan.argmax(dim=0).numpy()
    images = np.asarray(subset, dtype=np.int64)[sender]
    left_out = (mass < output.problem.column_mass - mass).numpy()
    return mass.numpy(), np.where(left_out, -1, images)


def _diagnostics(
    search: Search, problem: SubsetProblem, output: PartialOutput
) -> GeometryAwareDiagnostics:
    counts = search.counts
    return GeometryAwareDiagnostics(
        **asdict(counts),
        pruned_share=1 - counts.exact_solves / max(1, counts.screened),
        epsilon=problem.epsilon,
        alpha=problem.alpha,
        beta=problem.beta,
        marginal_error=float(output.marginal_error),
        certified_error=float(output.certified_error),
        rounding_error=float(output.rounding) + problem.penalty_rounding,
        transport_cost=float(output.transport_cost),
        lp_value=linear_value(output.problem),
    )
