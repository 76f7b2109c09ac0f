r"""One-sided partial optimal transport.

A subset of k images ships all its mass to a class of n images that may each take up to a capacity:

    minimise <C, pi> + epsilon KL   over pi >= 0,   pi 1 = a (sum 1),   pi^T 1 <= b (sum kappa).

A dummy row of cost 0 and mass kappa - 1 takes the unused capacity, so that the problem is balanced.
At kappa = 1 there is no dummy row. The regulariser is KL(pi || a b^T / kappa) of the plan with the
dummy row; it is >= 0, and the regularisation term tends to 0 with epsilon. A constant cost on the
dummy row would not change any plan, so there is no parameter for it.

Source: Geometry-aware dataset condensation (arXiv:2606.05883), the transport term and its dummy
source. The semi-dual is standard (Cuturi & Peyre 2018).
"""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError

MASS_TOLERANCE = 1e-6
"""Relative error allowed in the sum of given masses: enough for weights stored in float32."""


@dataclass(frozen=True)
class PartialProblem:
    """Cost, masses and regularisation of one problem, or of a batch with the same column masses.

    Raises: InputError for epsilon < 0, kappa < 1, negative masses, or masses with a wrong shape or
        sum (1 for a, kappa for b).

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot import PartialProblem
    >>> cost = torch.tensor(
    ...     [[0.0, 1.0, 9.0], [9.0, 1.0, 0.0]]
    ... )  # two chosen images, three of the class
    >>> problem = PartialProblem(cost, epsilon=0.1, kappa=1.2)
    >>> problem.row_mass.tolist(), problem.has_dummy
    ([0.5, 0.5], True)
    """

    cost_matrix: Float[Tensor, "*batch k n"]
    epsilon: float
    kappa: float = 1.0
    a: Float[Tensor, " k"] | None = None
    b: Float[Tensor, " n"] | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon >= 0):
            raise InputError(f"epsilon must be >= 0 and finite, found {self.epsilon}")
        if not (math.isfinite(self.kappa) and self.kappa >= 1):
            raise InputError(
                "kappa must be at least 1 (the class must be able to take the whole mass of the "
                f"subset), found {self.kappa}"
            )
        if self.a is not None:
            _check_mass("a", self.a, self.num_rows, 1.0)
        if self.b is not None:
            _check_mass("b", self.b, self.num_columns, self.kappa)

    @property
    def num_rows(self) -> int:
        """Number of images in the subset."""
        return self.cost_matrix.shape[-2]

    @property
    def num_columns(self) -> int:
        """Number of images in the class."""
        return self.cost_matrix.shape[-1]

    @property
    def has_dummy(self) -> bool:
        """Whether some capacity stays unused."""
        return self.kappa > 1

    @property
    def row_mass(self) -> Float[Tensor, " k"]:
        """Mass of each chosen image, sum 1; uniform if `a` is None."""
        if self.a is not None:
            return self.a.to(self.cost_matrix)
        return self.cost_matrix.new_full((self.num_rows,), 1 / self.num_rows)

    @property
    def column_mass(self) -> Float[Tensor, " n"]:
        """Capacity of each class image, sum kappa; uniform if `b` is None."""
        if self.b is not None:
            return self.b.to(self.cost_matrix)
        return self.cost_matrix.new_full((self.num_columns,), self.kappa / self.num_columns)

    def balanced(
        self,
    ) -> tuple[Float[Tensor, "*batch r n"], Float[Tensor, " r"], Float[Tensor, " n"]]:
        """Return the cost and the row and column masses, with the dummy row (if any) last."""
        cost = self.cost_matrix
        a = self.row_mass
        if self.has_dummy:
            cost = torch.cat([cost, cost.new_zeros(*cost.shape[:-2], 1, cost.shape[-1])], dim=-2)
            a = torch.cat([a, a.new_full((1,), self.kappa - 1)])
        return cost, a, self.column_mass


def _check_mass(name: str, mass: Float[Tensor, " m"], size: int, total: float) -> None:
    fits = mass.shape == (size,) and not bool((mass < 0).any())
    if not fits or abs(float(mass.sum()) - total) > MASS_TOLERANCE * total:
        raise InputError(
            f"{name} must hold {size} values >= 0 of sum {total}, found shape "
            f"{tuple(mass.shape)}, sum {float(mass.sum())}"
        )
