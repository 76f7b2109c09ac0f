"""One-sided partial optimal transport: cost, problem, solver, output."""

from otcondense.ot.cost import SquaredEuclidean, squared_euclidean
from otcondense.ot.newton import SemiDualNewton
from otcondense.ot.output import PartialOutput
from otcondense.ot.pot import PotSolver
from otcondense.ot.problem import PartialProblem
from otcondense.ot.sinkhorn import Sinkhorn

__all__ = [
    "PartialOutput",
    "PartialProblem",
    "PotSolver",
    "SemiDualNewton",
    "Sinkhorn",
    "SquaredEuclidean",
    "squared_euclidean",
]
