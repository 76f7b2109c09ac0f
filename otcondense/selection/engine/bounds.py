r"""Lower bounds on the transport value for every candidate at once, from one dual point.

Keep the potentials of the other k - 1 images (and the dummy), which leave each class image the price h_j; give each candidate q the best potential of its own:

    bound_q = sum_others a f + sum_j b_j h_j + max_t [ a t - epsilon sum_j b_j log(1 + (a / kappa) exp((t + h_j - C_qj) / epsilon)) ].

Weak duality makes it a bound on the regularised value for every t. The kernel exp((u_q + v_j - C_qj) / epsilon) around reference potentials is computed once,
so that a dual point costs products and one logarithm an entry.
"""

import math
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from otcondense.ot.blocks import row_blocks

STEPS = 1
HEADROOM = {torch.float32: 85.0, torch.float64: 650.0}
FLOOR = {torch.float32: -60.0, torch.float64: -500.0}


@dataclass
class TransportBounds:
    """Bounds for all candidates of one class; it remembers each candidate's own potential from one call to the next."""

    cost_matrix: Float[Tensor, "n n"]
    b: Float[Tensor, " n"]
    epsilon: float
    kappa: float
    workers: int = 1
    own: Float[Tensor, " n"] = field(init=False)
    """Potential of each candidate, the best known so far."""
    _kernel: Float[Tensor, "n n"] | None = field(init=False, default=None)
    _room: float = field(init=False, default=0.0)
    _u: Float[Tensor, " n"] = field(init=False)
    _v: Float[Tensor, " n"] = field(init=False)

    def __post_init__(self) -> None:
        self.own = self.cost_matrix.new_zeros(len(self.cost_matrix))

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
            prices: h, what the others and the dummy leave of each class image.
            size: images in the subset, the candidate included.
            candidates: the images to bound.
        """
        a = 1 / size
        constant = a * float(others.sum()) + float(self.b @ prices)
        finite = torch.isfinite(prices)
        if not bool(finite.all()):
            return torch.full(
                (len(candidates),), -math.inf, dtype=self.b.dtype, device=self.b.device
            )
        self._refresh(prices, a)
        bound = (
            self._kernel_pass(prices, a, candidates)
            if self._kernel is not None
            else self._log_pass(prices, a, candidates)
        )
        scale = abs(constant) + float(prices.abs().max()) + self.epsilon
        return bound + constant - 1e-13 * self.kappa * scale

    def _refresh(self, prices: Float[Tensor, " n"], a: float) -> None:
        """Move the reference potentials of the kernel where the prices have drifted too far from them."""
        if (
            self._kernel is not None
            and float((prices - self._v).max()) <= self._room * self.epsilon
        ):
            return
        if self._kernel is None and hasattr(self, "_v"):
            return
        if self._kernel is None:
            self._start_own(prices, a)
        self._u, self._v = self.own.clone(), prices.clone()
        top = self._largest_exponent()
        if top > 500:
            self._kernel = None
            return
        dtype = torch.float32 if top < 60 else torch.float64
        # Prices may rise until products overflow, or until the raised smallest entries would count.
        self._room = min(HEADROOM[dtype] - top, -FLOOR[dtype] / 2)
        kernel = torch.empty(self.cost_matrix.shape, dtype=dtype, device=self.cost_matrix.device)

        def fill(rows: slice) -> None:
            # Raising the smallest entries only lowers the bound.
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
        """Start from the unregularised best potential: the cost at which a candidate's share of the class is full."""
        order = max(1, min(len(self.b), math.ceil(a / float(self.b.mean()))))

        def fill(rows: slice) -> None:
            claims = self.cost_matrix[rows] - prices
            self.own[rows] = claims.kthvalue(order, dim=1).values - self.epsilon * math.log(
                a / self.kappa
            )

        row_blocks(fill, len(self.own), workers=self.workers)

    def _kernel_pass(
        self, prices: Float[Tensor, " n"], a: float, candidates: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        assert self._kernel is not None
        dtype = self._kernel.dtype
        weight = torch.exp((prices - self._v) / self.epsilon).to(dtype)
        mass = self.b.to(dtype)
        # Most of a class is bounded in place; gathering rows only pays for a small part of it.
        everything = 2 * len(candidates) > len(self.b)
        out = self.b.new_empty(len(self.b) if everything else len(candidates))
        offset = math.log(a / self.kappa)
        # Relative rounding: of a kernel entry, its product and the potential (4 units), and of a sum of n terms.
        unit = torch.finfo(dtype).eps
        loose = unit * (8 + len(mass) / 8)

        def work(rows: slice) -> None:
            index = rows if everything else candidates[rows]
            share = self._kernel[index] * weight  # type: ignore[index]
            own = self.own[index]
            log_scale = offset + (own - self._u[index]) / self.epsilon
            for _ in range(STEPS):
                log_scale += _newton_step(share, log_scale, mass, a, self.kappa)
            scaled = share.mul_(log_scale.exp().to(dtype)[:, None]).log1p_()
            claimed = (scaled @ mass).double()
            own = self._u[index] + self.epsilon * (log_scale - offset)
            out[rows] = a * own - self.epsilon * (claimed * (1 + loose) + 16 * unit * self.kappa)
            self.own[index] = own

        row_blocks(work, len(out), workers=self.workers)
        return torch.nan_to_num(out[candidates] if everything else out, nan=-math.inf)

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
            for _ in range(2 * STEPS):
                share = torch.sigmoid(claims + own[:, None])
                taken = share @ self.b
                slope = (share * (1 - share)) @ self.b
                own += ((a - taken) / slope.clamp(min=0.1 * a)).clamp(-2, 2)
            claimed = torch.logaddexp(claims + own[:, None], claims.new_zeros(())) @ self.b
            self.own[index] = self.epsilon * (own - offset)
            out[rows] = a * self.own[index] - self.epsilon * claimed

        row_blocks(work, len(candidates), workers=self.workers)
        return out


def _newton_step(
    share: Float[Tensor, "m n"],
    log_scale: Float[Tensor, " m"],
    mass: Float[Tensor, " n"],
    a: float,
    kappa: float,
) -> Float[Tensor, " m"]:
    """Return Newton's step for the logarithm of each candidate's scale, kept within a factor e^2."""
    left = (share * log_scale.exp().to(share.dtype)[:, None]).add_(1).reciprocal_()
    free = (left @ mass).double()
    slope = free - (left.square_() @ mass).double()
    return ((a - (kappa - free)) / slope.clamp(min=0.1 * a)).clamp(-2, 2)
