"""Transport problems with a known solution, and strategies that draw problems."""

from dataclasses import dataclass

import numpy as np
import torch
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize
from torch import Tensor

from otcondense.ot import PartialProblem


@dataclass(frozen=True)
class Experiment:
    """A problem and its unregularised value."""

    problem: PartialProblem
    linear_value: float


def points(seed: int, n: int, d: int = 3, *, outliers: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(n, d, generator=generator, dtype=torch.float64)
    rows[:outliers] *= 8
    return rows


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Squared distances, term by term."""
    return (x[:, None] - y[None]).square().sum(dim=2)


@st.composite
def problems(
    draw: st.DrawFn, kappas: tuple[float, ...] = (1.0, 1.05, 2.0, 4.0), *, weighted: bool = True
) -> PartialProblem:
    n = draw(st.integers(3, 14))
    k = draw(st.integers(1, max(1, n // 2)))
    seed = draw(st.integers(0, 10_000))
    kappa = draw(st.sampled_from(kappas))
    rows = points(seed, n, outliers=draw(st.integers(0, 1)))
    cost = distances(rows[:k], rows)
    ratio = draw(st.sampled_from((1.0, 10.0, 100.0, 1000.0)))
    generator = torch.Generator().manual_seed(seed + 1)
    weights = torch.rand(n, generator=generator, dtype=torch.float64) + 0.1
    b = kappa * weights / weights.sum() if weighted and draw(st.booleans()) else None
    return PartialProblem(cost, float(cost.max()) / ratio, kappa, b=b)


def diracs(n: int, kappa: float) -> Experiment:
    """Return one image that serves n points on a line at distances 0, 1, ...

    It takes the nearest share 1/kappa of the class.
    """
    cost = torch.arange(n, dtype=torch.float64)[None].square()
    full = int(n / kappa)
    rest = 1 - full * kappa / n
    value = (cost[0, :full].sum() * kappa / n + cost[0, min(full, n - 1)] * rest).item()
    return Experiment(PartialProblem(cost, 0.01, kappa), value)


def permuted(seed: int, n: int) -> Experiment:
    """Return a problem in which every image is chosen and kappa is 1: nothing has to move."""
    rows = points(seed, n)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return Experiment(PartialProblem(distances(rows[order], rows), 0.01, 1.0), 0.0)


def linear_value(problem: PartialProblem) -> float:
    """Return the optimum of the linear program: rows exact, columns within their capacity."""
    k, n = problem.cost_matrix.shape
    rows = np.zeros((k, k * n))
    columns = np.zeros((n, k * n))
    for i in range(k):
        rows[i, i * n : (i + 1) * n] = 1
        columns[np.arange(n), i * n + np.arange(n)] = 1
    result = linprog(
        problem.cost_matrix.numpy().ravel(),
        A_ub=columns,
        b_ub=problem.column_mass.numpy(),
        A_eq=rows,
        b_eq=problem.row_mass.numpy(),
        method="highs",
    )
    assert result.success
    return float(result.fun)


def regularized_value(problem: PartialProblem) -> float:
    """Return the optimum of the regularised problem, by a general optimiser on the semi-dual."""
    cost, a, b = (part.numpy() for part in problem.balanced())

    def negative(f: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.log(a / problem.kappa)[:, None] + (f[:, None] - cost) / problem.epsilon
        top = scores.max(axis=0)
        shares = np.exp(scores - top)
        value = a @ f - problem.epsilon * b @ (top + np.log(shares.sum(axis=0)))
        return -value, (shares / shares.sum(axis=0)) @ b - a

    options = {"maxiter": 5000, "ftol": 1e-15, "gtol": 1e-12}
    start = np.zeros(len(a))
    result = minimize(negative, start, jac=True, method="L-BFGS-B", options=options)
    return -float(result.fun)
