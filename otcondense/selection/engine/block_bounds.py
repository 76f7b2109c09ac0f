r"""The bounds of `TransportBounds` for a large class: one float32 kernel and no matrix of costs.

The kernel takes 4 bytes a pair. Its exponents z = (u_q + v_j - C_qj) / epsilon are computed in
float64 from rows of costs, and limited to [FLOOR, CAP] so that float32 holds the kernel and its
products. Raising a small entry only lowers the bound. What is cut off a large one is added to the
claims: for r = exp(z - CAP) >= 1 and any x >= 0,

    log(1 + r x) <= log(1 + x) + log r,

so that sum_j b_j (z_qj - CAP)^+ bounds what the cut entries of candidate q claim in addition, at
every scale of the candidate and every weight of the columns. Both changes are sound for any cost.

A pass works on blocks that fit into a core's cache. The sums of a block are float32, so that their
rounding is that of `BLOCK_COLUMNS` terms; the blocks are added up in float64.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.ot.cost_rows import rows_at_once
from otcondense.selection.engine.bounds import (
    LONG_STEP,
    MOST_DRIFT,
    Claims,
    Sums,
    TransportBounds,
    column_weights,
)

BLOCK_COLUMNS = 1024
"""Columns of a block."""

PASS_ROWS = 256
"""Rows of a block: with these columns it takes 1 MB."""

CAP = 50.0
"""Largest exponent of the kernel."""

FLOOR = -60.0
"""Smallest exponent of the kernel."""

ROOM = 30.0
"""Largest increase of the prices, in units of epsilon, for which a kernel is used.

Products then reach e^80, and float32 holds e^88.
"""

LOOSE = 0.01
"""A bound is loose if the cut entries may claim this much too much, in units of epsilon.

They claim too much where prices have fallen since the kernel was computed.
"""

REBUILT_SHARE = 0.3
"""If more candidates are loose, the kernel is computed again, else their bounds without it.

A row of a new kernel takes about a third of the time of a bound without one.
"""

SAMPLED_COLUMNS = 2048
"""Columns from which a candidate's first potential is guessed, evenly spaced."""

ROUNDING_UNITS = 2
"""Margin of the bounds for rounding in float64, in units in the last place per class image."""


@dataclass
class BlockBounds(TransportBounds):
    """Bounds for all candidates of one large class."""

    _excess: Float[Tensor, " n"] = field(init=False)
    """What the entries above the cap claim in addition."""

    @property
    def rounding_share(self) -> float:
        return ROUNDING_UNITS * len(self.b) * torch.finfo(torch.float64).eps

    def _refresh(self, prices: Float[Tensor, " n"], a: float) -> None:
        if self._kernel is None or not self._serves(prices):
            self._build(prices, a)

    def _serves(self, prices: Float[Tensor, " n"]) -> bool:
        """Return whether the kernel can be used at these prices."""
        rise = float((prices - self._v).max())
        drift = float((self.own - self._u).abs().max())
        return rise <= ROOM * self.epsilon and drift <= MOST_DRIFT * self.epsilon

    def _build(self, prices: Float[Tensor, " n"], a: float) -> None:
        """Compute the kernel around these prices and the candidates' potentials."""
        size = len(self.b)
        offset = self.epsilon * math.log(a / self.kappa)
        kernel = torch.empty(size, size) if self._kernel is None else self._kernel
        self._excess = torch.zeros_like(self.b)
        self._u = torch.empty_like(self.b)
        self._v = prices.clone()

        def fill(rows: slice) -> None:
            claims = prices - self.cost_matrix[rows]
            if not self._has_own:
                self.own[rows] = self._first_potentials(claims, a)
            self._u[rows] = self.own[rows] + offset
            z = claims.add_(self._u[rows, None]).div_(self.epsilon)
            if float(z.max()) > CAP:
                self._excess[rows] = (z - CAP).clamp_(min=0) @ self.b
            kernel[rows] = z.clamp_(FLOOR, CAP).exp_()

        row_blocks(fill, size, workers=self.workers, rows=rows_at_once(self.cost_matrix))
        self._has_own = True
        self._kernel = kernel

    def _first_potentials(self, claims: Float[Tensor, "m n"], a: float) -> Float[Tensor, " m"]:
        """Return the cost at which each candidate's share of some of the columns is full."""
        some = -claims[:, :: max(1, claims.shape[1] // SAMPLED_COLUMNS)]
        share = a / (float(self.b.mean()) * len(self.b))
        order = max(1, min(some.shape[1], math.ceil(share * some.shape[1])))
        offset = self.epsilon * math.log(a / self.kappa)
        return some.kthvalue(order, dim=1).values - offset

    def _kernel_pass(
        self, prices: Float[Tensor, " n"], a: float, candidates: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        loose = self._is_loose(prices, candidates)
        if int(loose.sum()) > REBUILT_SHARE * len(self.b):
            self._build(prices, a)
            loose = torch.zeros_like(loose)
        bounds = self._pass(prices, a, candidates[~loose])
        if not bool(loose.any()):
            return bounds
        every = self.b.new_empty(len(candidates))
        every[~loose] = bounds
        exact = self._log_pass(prices, a, candidates[loose])
        every[loose] = exact - self.rounding_share * a * self.own[candidates[loose]].abs()
        return every

    def _is_loose(
        self, prices: Float[Tensor, " n"], candidates: Int[Tensor, " m"]
    ) -> Bool[Tensor, " m"]:
        fall = float((self._v - prices).clamp_(min=0) @ self.b) / self.epsilon
        loose: Bool[Tensor, " m"] = self._excess[candidates].clamp(max=fall) > LOOSE
        return loose

    def _pass(
        self, prices: Float[Tensor, " n"], a: float, candidates: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        """Return the bounds of candidates whose cut entries hardly matter."""
        assert self._kernel is not None
        kernel = self._kernel
        weight = column_weights((prices - self._v) / self.epsilon, torch.float32)
        offset = math.log(a / self.kappa)
        claims = _BlockClaims(self.b.float(), a, self.kappa)

        everything = 2 * len(candidates) > len(self.b)
        out = self.b.new_empty(len(self.b) if everything else len(candidates))

        def work(rows: slice) -> None:
            index = rows if everything else candidates[rows]
            log_scale = offset + (self.own[index] - self._u[index]) / self.epsilon
            share = kernel[index]
            step, claimed = claims.after_a_step(share, weight, log_scale)
            long = step.abs() > LONG_STEP
            if bool(long.any()):
                # The step is short for the sake of the bound: Newton's leads further.
                log_scale[long] += step[long]
                part = claims.after_a_step(share[long], weight, log_scale[long])
                step[long], claimed[long] = part
            own = self._u[index] + self.epsilon * (log_scale + step - offset)
            claimed += self._excess[index]
            rounding = self.rounding_share * (a * own.abs() + self.epsilon * claimed.abs())
            out[rows] = a * own - self.epsilon * claimed - rounding
            self.own[index] = own

        row_blocks(work, len(out), workers=self.workers, rows=PASS_ROWS)
        bounds = out[candidates] if everything else out
        return torch.nan_to_num(bounds, nan=-math.inf)


@dataclass(frozen=True)
class _BlockClaims(Claims):
    """Claims whose sums are added up block by block."""

    @property
    def longest_sum(self) -> int:
        return min(BLOCK_COLUMNS, len(self.mass))

    def sums(
        self,
        kernel: Float[Tensor, "m n"],
        weight: Float[Tensor, " n"],
        inverse: Float[Tensor, " m"],
    ) -> Sums:
        left = inverse.new_zeros(len(inverse), dtype=torch.float64)
        sums = Sums(left, torch.zeros_like(left), torch.zeros_like(left))
        for start in range(0, len(self.mass), BLOCK_COLUMNS):
            part = slice(start, start + BLOCK_COLUMNS)
            mass = self.mass[part]
            total = torch.addcmul(inverse[:, None], kernel[:, part], weight[part])
            left = total.reciprocal()
            sums.left.add_(left @ mass)
            sums.left_squared.add_(left.square_() @ mass)
            sums.logarithm.add_(total.log_() @ mass)
        return sums
