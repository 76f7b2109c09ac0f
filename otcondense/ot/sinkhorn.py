"""Sinkhorn's iterations, as the paper uses them or to convergence in the log domain."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.ot.output import PartialOutput
from otcondense.ot.problem import PartialProblem

FIXED_ITERATIONS_TOLERANCE = 1e-6
"""Marginal error below which an output counts as converged if no tolerance was given."""


@dataclass(frozen=True)
class Sinkhorn:
    """Alternate scaling of rows and columns, columns last.

    `log_domain=False` with `tolerance=0` is the paper's version: a fixed number of iterations on
    the kernel, in the dtype of the cost. Its plan loses mass where the cost is large relative to
    epsilon; `marginal_error` reports the loss.

    Examples
    --------
    >>> import torch
    >>> from otcondense.ot import PartialProblem, Sinkhorn
    >>> cost = torch.tensor(
    ...     [[0.0, 1.0, 9.0], [9.0, 1.0, 0.0]]
    ... )  # two chosen images, three of the class
    >>> problem = PartialProblem(cost, epsilon=0.1, kappa=1.2)
    >>> round(float(Sinkhorn(max_iterations=500)(problem).transport_cost), 3)
    0.2

    References
    ----------
    .. [1] arXiv:2606.05883, entropic solution of the balanced problem with a dummy source.
    """

    max_iterations: int = 20
    tolerance: float = 0.0
    """Stop early once the L1 error of the rows is below this; 0 runs all iterations."""
    log_domain: bool = True

    def __call__(
        self, problem: PartialProblem, init: Float[Tensor, "*batch k"] | None = None
    ) -> PartialOutput:
        """Run the iterations; `init` warm-starts the row potentials in the log domain."""
        if problem.epsilon <= 0:
            raise InputError(f"Sinkhorn needs epsilon > 0, found {problem.epsilon}")
        if not self.log_domain:
            if init is not None:
                raise InputError(
                    "init must be None with log_domain=False, found potentials; set "
                    "log_domain=True to warm-start"
                )
            return self._kernel(problem)
        return self._log(problem, init)

    def _log(
        self, problem: PartialProblem, init: Float[Tensor, "*batch k"] | None
    ) -> PartialOutput:
        cost, a, b = problem.balanced()
        f = cost.new_zeros(cost.shape[:-1])
        if init is not None:
            f[..., : problem.num_rows] = init
        log_a = a.log()
        log_share = (log_a - torch.log(log_a.new_tensor(problem.kappa)))[:, None]
        smallest = torch.finfo(f.dtype).tiny

        iterations = 0
        for iterations in range(1, self.max_iterations + 1):  # noqa: B007
            scores = log_share + (f[..., :, None] - cost) / problem.epsilon
            mass = torch.softmax(scores, dim=-2) @ b
            if bool(((mass - a).abs().sum(dim=-1) <= self.tolerance).all()):
                break
            f = f + problem.epsilon * (log_a - mass.clamp(min=smallest).log())

        f = _gauged(f, problem)
        return PartialOutput(problem, f, self._output_tolerance, iterations)

    @property
    def _output_tolerance(self) -> float:
        return self.tolerance or FIXED_ITERATIONS_TOLERANCE

    def _kernel(self, problem: PartialProblem) -> PartialOutput:
        cost, a, b = problem.balanced()
        kernel = torch.exp(-cost / problem.epsilon)
        v = torch.ones_like(kernel[..., 0, :])
        for _ in range(self.max_iterations):
            u = a / (kernel @ v[..., None])[..., 0]
            v = b / (u[..., None, :] @ kernel)[..., 0, :]

        f = _gauged(problem.epsilon * (u.log() - (a / problem.kappa).log()), problem)
        plan = u[..., :, None] * kernel * v[..., None, :]
        error = (plan.sum(dim=-2) - b).abs().sum(dim=-1)
        return PartialOutput(
            problem,
            f,
            self._output_tolerance,
            self.max_iterations,
            column_error=error,
            given_plan=plan,
        )


def _gauged(f: Float[Tensor, "*batch r"], problem: PartialProblem) -> Float[Tensor, "*batch k"]:
    """Return the potentials of the chosen images, shifted so that the dummy row's is 0."""
    gauge = f[..., -1:] if problem.has_dummy else 0
    return f[..., : problem.num_rows] - gauge
