r"""Exact transport value from features alone, by POT's lazy solver.

`ot.lp.emd2_lazy` computes each cost when its network simplex looks at it. It knows only distances
between points, so the dummy row, whose cost is 0, has to be a point, too. One more coordinate makes
it one. With y_j the features around any centre and w > 0, let

    class image (y_j, z_j),   z_j = |y_j|^2 / (2 w),      chosen image (x_i, 0),      dummy (0, w).

Squared distances are then C_ij + z_j^2 from chosen images, and w^2 + z_j^2 from the dummy. A
constant on a column, or on the dummy row, changes no plan, because their masses are fixed. So the
value is that of the lifted problem less sum_j b_j z_j^2 + (kappa - 1) w^2.

The solver holds no costs. But a subset of K images has only (K + 1) n of them, and
`linear_value` on these is some hundred times as fast. So this function validates others; no
selection calls it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.errors import InputError

MAX_ITERATIONS = 100_000_000
"""Limit on the pivots of the network simplex."""


def lazy_linear_value(
    features: Float[Tensor, "n d"],
    subset: Int[Tensor, " k"],
    kappa: float,
    *,
    weights: Float[Tensor, " n"] | None = None,
    f: Float[Tensor, " k"] | None = None,
) -> float:
    """Return the optimal cost (epsilon 0) of the partial transport from a subset to its class.

    Args:
        features: the class; costs are squared Euclidean distances, and the value is in their unit.
        subset: rows of the chosen images, with mass 1 / k each.
        kappa: capacity of a class image as a multiple of its weight, >= 1.
        weights: weights of the class images, sum 1; None is uniform.
        f: potentials of the chosen images, the dummy's 0, as those of the regularised problem. They
            make the solver faster, and do not change the value.

    Raises: InputError if POT is not installed, or has no lazy solver (before 0.9.7).
    """
    solve = _solver()
    centred = (features - features.mean(dim=0)).double().numpy()
    squares = np.square(centred).sum(axis=1)
    height = float(np.sqrt(squares.max())) or 1.0
    lift = squares / (2 * height)

    rows = np.column_stack([centred[subset.numpy()], np.zeros(len(subset))])
    mass = np.full(len(subset), 1 / len(subset))
    potentials = np.zeros(len(subset)) if f is None else f.double().numpy()
    if kappa > 1:
        rows = np.vstack([rows, [*np.zeros(centred.shape[1]), height]])
        mass = np.append(mass, kappa - 1)
        potentials = np.append(potentials, height**2)
    share = np.full(len(centred), 1 / len(centred)) if weights is None else weights.double().numpy()
    capacity = share * (mass.sum() / share.sum())
    columns = np.column_stack([centred, lift])

    start = None if f is None else (potentials, _conjugate(rows, columns, potentials))
    value, log = solve(
        rows,
        columns,
        mass,
        capacity,
        numItermax=MAX_ITERATIONS,
        log=True,
        return_matrix=False,
        potentials_init=start,
    )
    assert log["warning"] is None, log["warning"]
    return float(value) - float(capacity @ lift**2) - (kappa - 1) * height**2


def _conjugate(
    rows: Float[np.ndarray, "r e"], columns: Float[np.ndarray, "n e"], f: Float[np.ndarray, " r"]
) -> Float[np.ndarray, " n"]:
    """Return the largest potentials of the columns that those of the rows allow."""
    lowest = np.full(len(columns), np.inf)
    for row, potential in zip(rows, f, strict=True):
        lowest = np.minimum(lowest, np.square(columns - row).sum(axis=1) - potential)
    return lowest


def _solver() -> Callable[..., Any]:
    try:
        from ot.lp import emd2_lazy
    except ImportError as error:
        raise InputError(
            "lazy_linear_value needs POT 0.9.7 or later, found none; pip install 'pot>=0.9.7'"
        ) from error
    solver: Callable[..., Any] = emd2_lazy
    return solver
