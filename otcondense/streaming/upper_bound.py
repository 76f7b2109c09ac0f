r"""An upper bound on the objective of the kept subset over the whole stream.

Let S be the subset, mu the stream of n images, and V a uniform sample of m of them without
replacement that S does not depend on. With the objective's semi-dual,
OT(S, mu) = max_f Psi(f, mu), where Psi(f, mu) is linear in mu: a f plus the mean over y in mu of
phi_f(y) = -kappa epsilon log sum_i (a_i / kappa) exp((f_i - C_iy) / epsilon), the dummy row
included. Let f be optimal for mu. Then OT(S, V) >= Psi(f, V), and Psi(f, V) is a mean of m values
drawn without replacement whose expectation is Psi(f, mu) = OT(S, mu). The values of phi_f differ by
at most kappa D, where D bounds the cost from S to any image: each exponent changes by at most
D / epsilon, and that of the dummy by nothing. Hoeffding's inequality for samples without
replacement (R. Serfling, Probability inequalities for the sum in sampling without replacement,
Annals of Statistics 2 (1974), corollary 1.1) gives, with probability at least 1 - delta,

    OT(S, mu) <= OT(S, V) + kappa D sqrt((1 - (m - 1) / n) log(1 / delta) / (2 m)).

There is no union bound, and neither K nor the dimension is in it, because f and S are fixed
before V is drawn. If the sample is the whole stream, the margin is 0. The statistics term needs no
sample: mean and variance of the stream are known.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from otcondense.ot import PartialProblem, SemiDualNewton
from otcondense.streaming.moments import Moments
from otcondense.threads import one_thread


@dataclass(frozen=True)
class ObjectiveUnits:
    """The objective in the units of the features."""

    epsilon: float
    kappa: float
    alpha: float


def transport_to(
    chosen: Float[np.ndarray, "k d"], others: Float[np.ndarray, "m d"], units: ObjectiveUnits
) -> float:
    """Return the transport term from chosen images to others of equal weights, from above.

    It is solved in units of epsilon, so that the scale of the features does not matter.
    """
    rows = torch.from_numpy(chosen.astype(np.float64))
    columns = torch.from_numpy(others.astype(np.float64))
    with one_thread():
        cost = torch.cdist(rows, columns, compute_mode="donot_use_mm_for_euclid_dist").square()
        problem = PartialProblem(cost / units.epsilon, epsilon=1.0, kappa=units.kappa)
        return units.epsilon * float(SemiDualNewton()(problem).value_upper_bound)


def statistics_to(chosen: Float[np.ndarray, "k d"], moments: Moments) -> float:
    """Return the distance of the mean and the deviations of chosen images to the stream's."""
    values = chosen.astype(np.float64)
    spread = np.zeros(values.shape[1])
    if len(values) > 1:
        spread = values.std(axis=0, ddof=1)
    apart = np.square(values.mean(axis=0) - moments.mean).sum()
    return float(apart + np.square(spread - moments.deviation).sum())


def margin(moments: Moments, sample_size: int, range_of_values: float, delta: float) -> float:
    """Return the margin of Serfling's inequality for a mean over a sample.

    Args:
        moments: of the stream.
        sample_size: images of the sample, >= 1.
        range_of_values: largest minus smallest value, >= 0.
        delta: probability that the margin is exceeded.
    """
    if sample_size >= moments.count:
        return 0.0
    left = 1 - (sample_size - 1) / moments.count
    return range_of_values * math.sqrt(left * math.log(1 / delta) / (2 * sample_size))


def upper_bound(
    chosen: Float[np.ndarray, "k d"],
    sample: Float[np.ndarray, "m d"],
    moments: Moments,
    units: ObjectiveUnits,
    delta: float,
) -> float:
    """Return the upper bound; nan without a sample.

    Args:
        chosen: the kept images.
        sample: a uniform sample of the stream, independent of `chosen`.
        moments: of the whole stream.
        units: the objective.
        delta: probability that the objective is above the bound.
    """
    if not len(sample):
        return math.nan
    range_of_values = units.kappa * moments.largest_cost(chosen)
    transport = transport_to(chosen, sample, units)
    statistics = units.alpha * statistics_to(chosen, moments)
    return transport + statistics + margin(moments, len(sample), range_of_values, delta)
