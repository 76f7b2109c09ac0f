"""POT (Python Optimal Transport) on the problem with its dummy row: exact LP, or its Sinkhorn."""

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


@dataclass(frozen=True)
class PotSolver:
    """`method="emd"` is the network simplex on the unregularised problem, `"sinkhorn"` POT's log-domain Sinkhorn.

    One problem a call: POT's solvers are not batched. The output of `"emd"` has epsilon 0: its regularised value is the LP's.
    """

    method: Literal["emd", "sinkhorn"] = "emd"
    max_iterations: int = 1_000_000
    tolerance: float = 1e-9

    def __call__(
        self, problem: PartialProblem, init: Float[Tensor, " k"] | None = None
    ) -> PartialOutput:
        """Solve by POT; potentials come back with the dummy row's at 0."""
        if problem.cost_matrix.ndim != 2:
            raise InputError(
                f"PotSolver takes one problem at a time (a cost of 2 dimensions), found shape {tuple(problem.cost_matrix.shape)}"
            )
        if init is not None:
            raise InputError("PotSolver cannot be warm-started, found init")
        cost, a, b = (part.double().cpu().numpy() for part in problem.balanced())
        plan, f, iterations = (
            self._emd(cost, a, b)
            if self.method == "emd"
            else self._sinkhorn(cost, a, b, problem.epsilon)
        )
        f = f[: problem.num_rows] - (f[-1] if problem.has_dummy else 0.0)
        epsilon = 0.0 if self.method == "emd" else problem.epsilon
        device = problem.cost_matrix.device
        return PartialOutput(
            PartialProblem(
                problem.cost_matrix.double(), epsilon, problem.kappa, problem.a, problem.b
            ),
            torch.as_tensor(f, device=device),
            max(10 * self.tolerance, 1e-8),
            iterations,
            column_error=torch.as_tensor(np.abs(plan.sum(axis=0) - b).sum(), device=device),
            given_plan=torch.as_tensor(plan, device=device),
        )

    def _emd(
        self, cost: np.ndarray, a: np.ndarray, b: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, int]:
        import ot

        # POT wants equal totals to the last bit.
        plan, log = ot.emd(
            a, b * (a.sum() / b.sum()), cost, numItermax=self.max_iterations, log=True
        )
        if log["warning"] is not None:
            raise InputError(
                f"PotSolver(method='emd') did not finish in {self.max_iterations} iterations: {log['warning']}; raise max_iterations"
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
