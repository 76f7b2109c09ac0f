"""Exact value of the unregularised problem."""

from importlib.util import find_spec

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, kron, vstack

from otcondense.ot.pot import PotSolver
from otcondense.ot.problem import PartialProblem

CAPACITY_SLACK = 1e-12
"""Relative increase of the capacities for HiGHS.

At kappa 1 they sum to the mass of the rows, and rounding would make the program infeasible.
"""


def linear_value(problem: PartialProblem) -> float:
    """Return the optimum of the linear program (epsilon 0).

    POT's network simplex solves it, or SciPy's HiGHS where POT is not installed.
    """
    if find_spec("ot") is not None:
        return float(PotSolver()(problem).transport_cost)
    return _highs(problem)


def _highs(problem: PartialProblem) -> float:
    k = problem.num_rows
    n = problem.num_columns
    rows = kron(eye_array(k), np.ones((1, n)))
    columns = kron(np.ones((1, k)), eye_array(n))

    result = linprog(
        problem.cost_matrix.double().cpu().numpy().ravel(),
        A_eq=csr_array(rows),
        b_eq=problem.row_mass.double().cpu().numpy(),
        A_ub=csr_array(vstack([columns])),
        b_ub=problem.column_mass.double().cpu().numpy() * (1 + CAPACITY_SLACK),
        method="highs",
    )
    assert result.success, result.message
    return float(result.fun)
