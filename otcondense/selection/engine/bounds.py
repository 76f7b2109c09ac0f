r"""Lower bounds on the transport value for every candidate at once, from one dual point.

Keep the potentials of the other k - 1 images (and the dummy), which leave each class image the
price h_j. Give each candidate q the best potential t of its own:

    bound_q = sum_others a f + sum_j b_j h_j
              + max_t [ a t
                        - epsilon sum_j b_j log(1 + (a / kappa) exp((t + h_j - C_qj) / epsilon)) ].

By weak duality it is a bound on the regularised value for every t. The kernel
exp((u_q + v_j - C_qj) / epsilon) around reference potentials u and v is computed once, so that a
dual point costs products and one logarithm per entry.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks
from otcondense.ot.cost_rows import CostRows, rows_at_once

LOG_STEPS = 2
"""Newton steps for a candidate's potential at each dual point, without a kernel.

They start from the last potential. With a kernel, one step is made, or two if it is long.
"""

HEADROOM = {torch.float32: 85.0, torch.float64: 650.0}
"""Largest exponent of the kernel that leaves room for its products before they overflow."""

MOST_DRIFT = 35
"""Largest change of a candidate's potential, in units of epsilon, since the kernel was computed.

The squares of the inverse scales must be float32 numbers.
"""

FLOOR = {torch.float32: -60.0, torch.float64: -500.0}
"""Smallest exponent of the kernel; raising smaller entries to it only lowers the bound."""

LEAST_WEIGHT = {torch.float32: -80.0, torch.float64: -650.0}
"""Smallest logarithm of a column's weight; raising smaller weights to it only lowers the bound.

A weight that underflows would claim too little, and raise the bound.
"""

FLOAT32_EXPONENT = 60
"""Largest exponent for which a float32 kernel is used."""

FLOAT64_EXPONENT = 500
"""Largest exponent for which a kernel is used at all."""

LOG_STEP = 2
"""Largest Newton step in the logarithm of a candidate's scale, a factor of e^2."""

LONG_STEP = 0.5
"""After a longer step, the bound is loose, and another one is made."""

LEAST_SLOPE = 0.1
"""Smallest slope of a Newton step, as a share of the candidate's mass."""

BOUND_ROUNDING = 1e-13
"""Margin of the bounds for rounding, as a share of the potentials."""

ENTRY_ROUNDING = 8
"""Relative rounding error of a term of the sum, in units in the last place.

The kernel entry, its product and the potential account for 4.
"""

POTENTIAL_ROUNDING = 16
"""Rounding error of a candidate's potential over epsilon, in units in the last place of kappa."""


@dataclass
class TransportBounds:
    """Bounds for all candidates of one class.

    Each candidate's own potential is kept from one call to the next.
    """

    cost_matrix: Float[Tensor, "n n"] | CostRows
    b: Float[Tensor, " n"]
    epsilon: float
    kappa: float
    workers: int = 1
    own: Float[Tensor, " n"] = field(init=False)
    """Potential of each candidate, the best one so far."""
    _has_own: bool = field(init=False, default=False)
    _kernel: Float[Tensor, "n n"] | None = field(init=False, default=None)
    _room: float = field(init=False, default=0.0)
    """Largest increase of the prices, in units of epsilon, for which the kernel may be used."""
    _u: Float[Tensor, " n"] = field(init=False)
    _v: Float[Tensor, " n"] = field(init=False)

    def __post_init__(self) -> None:
        self.own = torch.zeros_like(self.b)

    @property
    def rounding_share(self) -> float:
        """Margin of the bounds for rounding, as a share of the potentials."""
        return BOUND_ROUNDING

    def __call__(
        self,
        others: Float[Tensor, " r"],
        prices: Float[Tensor, " n"],
        size: int,
        candidates: Int[Tensor, " m"],
    ) -> Float[Tensor, " m"]:
        """Return the bounds of `candidates` as members of a subset of `size` images.

        Args:
            others: potentials of the other images of the subset, [size - 1].
            prices: h, the prices that the others and the dummy leave to the class images.
            size: number of images in the subset, the candidate included.
            candidates: the images to bound.
        """
        a = 1 / size
        constant = a * float(others.sum()) + float(self.b @ prices)
        if not bool(torch.isfinite(prices).all()):
            return self.b.new_full((len(candidates),), -math.inf)

        self._refresh(prices, a)
        if self._kernel is not None:
            bound = self._kernel_pass(prices, a, candidates)
        else:
            bound = self._log_pass(prices, a, candidates)

        scale = abs(constant) + float(prices.abs().max()) + self.epsilon
        return bound + constant - self.rounding_share * self.kappa * scale

    def drop_kernel(self) -> None:
        """Free the memory of the kernel; the next call computes it again."""
        if self._kernel is not None:
            self._kernel = None
            del self._v

    def start_from(self, other: "TransportBounds") -> None:
        """Start each candidate's potential from that of the same class at another epsilon."""
        self.own = other.own.clone()
        self._has_own = True

    def _refresh(self, prices: Float[Tensor, " n"], a: float) -> None:
        """Recompute the kernel if the prices have moved too far from its reference potentials."""
        first_call = not hasattr(self, "_v")
        if self._kernel is None and not first_call:
            return  # the kernel would overflow
        if self._kernel is not None:
            rise = float((prices - self._v).max())
            drift = float((self.own - self._u).abs().max())
            if rise <= self._room * self.epsilon and drift <= MOST_DRIFT * self.epsilon:
                return

        if not self._has_own:
            self._start_own(prices, a)
            self._has_own = True
        # Around this reference, the scales of the candidates are 1.
        self._u = self.own + self.epsilon * math.log(a / self.kappa)
        self._v = prices.clone()
        largest = self._largest_exponent()
        if largest > FLOAT64_EXPONENT:
            self._kernel = None
        else:
            self._make_kernel(largest)

    def _make_kernel(self, largest: float) -> None:
        """Compute the kernel; `largest` is its largest exponent."""
        dtype = torch.float32 if largest < FLOAT32_EXPONENT else torch.float64
        # Prices may rise until products overflow, or until the raised smallest entries would count.
        self._room = min(HEADROOM[dtype] - largest, -FLOOR[dtype] / 2)
        kernel = torch.empty(len(self.b), len(self.b), dtype=dtype)

        def fill(rows: slice) -> None:
            kernel[rows] = self._exponent(rows).to(dtype).clamp_(min=FLOOR[dtype]).exp_()

        row_blocks(fill, len(kernel), workers=self.workers)
        self._kernel = kernel

    def _exponent(self, rows: slice) -> Float[Tensor, "m n"]:
        return (self._v - self.cost_matrix[rows]).add_(self._u[rows, None]).div_(self.epsilon)

    def _largest_exponent(self) -> float:
        largest = self._u.new_empty(len(self._u))

        def work(rows: slice) -> None:
            largest[rows] = self._exponent(rows).amax(dim=1)

        row_blocks(work, len(largest), workers=self.workers)
        return float(largest.max())

    def _start_own(self, prices: Float[Tensor, " n"], a: float) -> None:
        """Start each candidate's potential from its best one without regularisation.

        That is the cost at which the candidate's share of the class is full.
        """
        order = max(1, min(len(self.b), math.ceil(a / float(self.b.mean()))))
        offset = self.epsilon * math.log(a / self.kappa)

        def fill(rows: slice) -> None:
            claims = self.cost_matrix[rows] - prices
            self.own[rows] = claims.kthvalue(order, dim=1).values - offset

        row_blocks(fill, len(self.own), workers=self.workers)

    def _kernel_pass(
        self, prices: Float[Tensor, " n"], a: float, candidates: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        """Return the candidates' part of the bounds, with the kernel."""
        assert self._kernel is not None
        kernel = self._kernel
        dtype = kernel.dtype
        weight = column_weights((prices - self._v) / self.epsilon, dtype)
        offset = math.log(a / self.kappa)
        claims = Claims(self.b.to(dtype), a, self.kappa)

        # Gathering rows costs a copy: for most of a class, all rows are bounded in place.
        everything = 2 * len(candidates) > len(self.b)
        out = self.b.new_empty(len(self.b) if everything else len(candidates))

        def work(rows: slice) -> None:
            index = rows if everything else candidates[rows]
            log_scale = offset + (self.own[index] - self._u[index]) / self.epsilon
            share = kernel[index]
            step, claimed = claims.after_a_step(share, weight, log_scale)
            if float(step.abs().max()) > LONG_STEP:
                # The step is short for the sake of the bound: Newton's leads further.
                log_scale += step.abs().expm1_().clamp_(max=LOG_STEP).copysign_(step)
                step, claimed = claims.after_a_step(share, weight, log_scale)
            own = self._u[index] + self.epsilon * (log_scale + step - offset)
            out[rows] = a * own - self.epsilon * claimed
            self.own[index] = own

        row_blocks(work, len(out), workers=self.workers)
        bounds = out[candidates] if everything else out
        return torch.nan_to_num(bounds, nan=-math.inf)

    def _log_pass(
        self, prices: Float[Tensor, " n"], a: float, candidates: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        """Return the same where the kernel would overflow: exponentials at every step."""
        out = self.b.new_empty(len(candidates))
        offset = math.log(a / self.kappa)

        def work(rows: slice) -> None:
            index = candidates[rows]
            claims = (prices - self.cost_matrix[index]) / self.epsilon
            own = self.own[index] / self.epsilon + offset
            for _ in range(LOG_STEPS):
                share = torch.sigmoid(claims + own[:, None])
                taken = share @ self.b
                slope = (share * (1 - share)) @ self.b
                step = (a - taken) / slope.clamp(min=LEAST_SLOPE * a)
                own += step.clamp(-LOG_STEP, LOG_STEP)

            claimed = torch.logaddexp(claims + own[:, None], claims.new_zeros(())) @ self.b
            self.own[index] = self.epsilon * (own - offset)
            out[rows] = a * self.own[index] - self.epsilon * claimed

        at_once = rows_at_once(self.cost_matrix)
        row_blocks(work, len(candidates), workers=self.workers, rows=at_once)
        return out


def column_weights(rise: Float[Tensor, " n"], dtype: torch.dtype) -> Float[Tensor, " n"]:
    """Return the weights of columns whose prices have risen by so much, in units of epsilon."""
    return rise.clamp(min=LEAST_WEIGHT[dtype]).exp_().to(dtype)


@dataclass(frozen=True)
class Sums:
    """Sums over the class images for each candidate, from total = 1 / scale + kernel * weight."""

    left: Float[Tensor, " m"]
    """sum_j b_j / total_j."""
    left_squared: Float[Tensor, " m"]
    """sum_j b_j / total_j^2."""
    logarithm: Float[Tensor, " m"]
    """sum_j b_j log total_j."""


@dataclass(frozen=True)
class Claims:
    """What candidates claim of the class images, as a function of their scales."""

    mass: Float[Tensor, " n"]
    a: float
    kappa: float

    @property
    def longest_sum(self) -> int:
        """Number of terms that are added up in the dtype of `mass`."""
        return len(self.mass)

    def sums(
        self,
        kernel: Float[Tensor, "m n"],
        weight: Float[Tensor, " n"],
        inverse: Float[Tensor, " m"],
    ) -> Sums:
        """Return the sums, in float64; `inverse` is 1 / scale. Each entry is visited once."""
        total = torch.addcmul(inverse[:, None], kernel, weight)
        left = total.reciprocal()
        first = (left @ self.mass).double()
        second = (left.square_() @ self.mass).double()
        return Sums(first, second, (total.log_() @ self.mass).double())

    def after_a_step(
        self,
        kernel: Float[Tensor, "m n"],
        weight: Float[Tensor, " n"],
        log_scale: Float[Tensor, " m"],
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        r"""Improve each candidate's scale by one step; bound sum_j b_j log(1 + share_j) there.

        Each entry is visited once. The claim g at the end of a step d follows from that before it
        and its derivatives, since |g'''| <= g'' for a logistic function:

            g(t + d) <= g(t) + g'(t) d + g''(t) (exp(|d|) - |d| - 1),

        and the step is the best one for this bound.

        Returns: the steps, and upper bounds on the claims with their rounding errors.
        """
        inverse = log_scale.neg().exp().to(kernel.dtype)
        sums = self.sums(kernel, weight, inverse)
        free = sums.left * inverse
        slope = free - sums.left_squared * inverse.double().square()
        claimed = sums.logarithm + self.kappa * log_scale

        taken = self.kappa - free
        wanted = self.a - taken
        ratio = wanted.abs() / slope.clamp(min=LEAST_SLOPE * self.a)
        step = ratio.log1p_().clamp_(max=LOG_STEP).copysign_(wanted)
        length = step.abs()
        curvature = slope.clamp(min=0) * (length.expm1() - length)
        error = self._rounding(claimed, log_scale, length)
        return step, claimed + taken * step + curvature + error

    def _rounding(
        self,
        claimed: Float[Tensor, " m"],
        log_scale: Float[Tensor, " m"],
        length: Float[Tensor, " m"],
    ) -> Float[Tensor, " m"]:
        """Return the rounding errors of `after_a_step`."""
        unit = torch.finfo(self.mass.dtype).eps
        # The sum of n terms adds up to n / 8 units.
        relative = unit * (ENTRY_ROUNDING + self.longest_sum / 8)
        terms = claimed.abs() + self.kappa * (log_scale.abs() + length.expm1())
        return relative * terms + POTENTIAL_ROUNDING * unit * self.kappa
