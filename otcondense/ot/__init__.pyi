from .cost import SquaredEuclidean as SquaredEuclidean
from .cost import squared_euclidean as squared_euclidean
from .newton import SemiDualNewton as SemiDualNewton
from .output import PartialOutput as PartialOutput
from .pot import PotSolver as PotSolver
from .problem import PartialProblem as PartialProblem
from .sinkhorn import Sinkhorn as Sinkhorn

__all__ = [
    "PartialOutput",
    "PartialProblem",
    "PotSolver",
    "SemiDualNewton",
    "Sinkhorn",
    "SquaredEuclidean",
    "squared_euclidean",
]
