"""Exact value of the unregularised problem."""

from importlib.util import find_spec

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array, eye_array, kron, vstack

from otcondense.ot.pot import PotSolver
from otcondense.ot.problem import PartialProblem


def linear_value(problem: PartialProblem) -> float:
    """Return the optimum of the linear program (epsilon 0), by POT's network simplex, or by SciPy's HiGHS where POT is not installed."""
    if find_spec("ot") is not None:
        return float(PotSolver()(problem).transport_cost)
    return _highs(problem)


def _highs(problem: PartialProblem) -> float:
    k, n = problem.num_rows, problem.num_columns
    rows = kron(eye_array(k), np.ones((1, n)))
    columns = kron(np.ones((1, k)), eye_array(n))
    result = linprog(
        problem.cost_matrix.double().cpu().numpy().ravel(),
        A_eq=csr_array(rows),
        b_eq=problem.row_mass.double().cpu().numpy(),
        A_ub=csr_array(vstack([columns])),
        b_ub=problem.column_mass.double().cpu().numpy() * (1 + 1e-12),
        method="highs",
    )
    assert result.success, result.message
    return float(result.fun)
