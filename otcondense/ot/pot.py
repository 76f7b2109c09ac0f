"""Solvers of POT (Python Optimal Transport): the exact linear program, and Sinkhorn."""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.ot.output import PartialOutput
from otcondense.ot.problem import PartialProblem

LEAST_OUTPUT_TOLERANCE = 1e-8
"""Outputs with a marginal error up to this count as converged, however small the tolerance."""


@dataclass(frozen=True)
class PotSolver:
    """Solves one problem a call, since POT's solvers take no batches.

    The output of `"emd"` has epsilon 0: its regularised value is that of the linear program.

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot import PartialProblem, PotSolver
    >>> cost = torch.tensor(
    ...     [[0.0, 1.0, 9.0], [9.0, 1.0, 0.0]]
    ... )  # two chosen images, three of the class
    >>> problem = PartialProblem(cost, epsilon=0.0, kappa=1.2)
    >>> round(float(PotSolver("emd")(problem).transport_cost), 3)
    0.2
    """

    method: Literal["emd", "sinkhorn"] = "emd"
    """emd: network simplex on the unregularised problem; sinkhorn: POT's log-domain Sinkhorn."""
    max_iterations: int = 1_000_000
    tolerance: float = 1e-9

    def __call__(
        self, problem: PartialProblem, init: Float[Tensor, " k"] | None = None
    ) -> PartialOutput:
        """Solve with POT; the dummy row's potential is 0 in the output."""
        if problem.cost_matrix.ndim != 2:
            raise InputError(
                "PotSolver takes one problem at a time (a cost of 2 dimensions), found shape "
                f"{tuple(problem.cost_matrix.shape)}"
            )
        if init is not None:
            raise InputError("PotSolver cannot be warm-started, found init")
        cost, a, b = (part.double().cpu().numpy() for part in problem.balanced())
        if self.method == "emd":
            epsilon = 0.0
            plan, f, iterations = self._emd(cost, a, b)
        else:
            epsilon = problem.epsilon
            plan, f, iterations = self._sinkhorn(cost, a, b, epsilon)

        # The potentials are unique up to a constant: the dummy row's is set to 0.
        gauge = f[-1] if problem.has_dummy else 0.0
        f = f[: problem.num_rows] - gauge
        solved = PartialProblem(
            problem.cost_matrix.double(), epsilon, problem.kappa, problem.a, problem.b
        )
        device = problem.cost_matrix.device
        return PartialOutput(
            solved,
            torch.as_tensor(f, device=device),
            max(10 * self.tolerance, LEAST_OUTPUT_TOLERANCE),
            iterations,
            column_error=torch.as_tensor(np.abs(plan.sum(axis=0) - b).sum(), device=device),
            given_plan=torch.as_tensor(plan, device=device),
        )

    def _emd(
        self, cost: np.ndarray, a: np.ndarray, b: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, int]:
        import ot

        # POT wants equal totals to the last bit.
        b = b * (a.sum() / b.sum())
        plan, log = ot.emd(a, b, cost, numItermax=self.max_iterations, log=True)
        if log["warning"] is not None:
            raise InputError(
                f"PotSolver(method='emd') did not finish in {self.max_iterations} iterations: "
                f"{log['warning']}; raise max_iterations"
            )
        return plan, log["u"], 0

    def _sinkhorn(
        self, cost: np.ndarray, a: np.ndarray, b: np.ndarray, epsilon: float
    ) -> tuple[np.ndarray, np.ndarray, int]:
        import ot

        if epsilon <= 0:
            raise InputError(f"PotSolver(method='sinkhorn') needs epsilon > 0, found {epsilon}")
        b = b * (a.sum() / b.sum())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            plan, log = ot.bregman.sinkhorn_log(
                a,
                b,
                cost,
                epsilon,
                numItermax=self.max_iterations,
                stopThr=self.tolerance,
                log=True,
            )
        f = epsilon * (np.asarray(log["log_u"]) - np.log(a))
        return plan, f, int(log["niter"])
