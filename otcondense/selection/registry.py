"""Every selector, by name."""

from otcondense.selection.base import Selector
from otcondense.selection.baselines.ccs import CcsSelector
from otcondense.selection.baselines.d2c import D2cSelector
from otcondense.selection.baselines.dq import DqSelector
from otcondense.selection.baselines.gaussian_density import GaussianDensitySelector
from otcondense.selection.baselines.herding import HerdingSelector
from otcondense.selection.baselines.k_center import KCenterSelector
from otcondense.selection.baselines.k_means import KMeansSelector
from otcondense.selection.baselines.k_medoids import KMedoidsSelector
from otcondense.selection.baselines.nearest_mean import NearestMeanSelector
from otcondense.selection.baselines.random_choice import RandomSelector
from otcondense.selection.baselines.subzerocore import SubZeroCoreSelector
from otcondense.selection.baselines.uniprot import UniProtSelector
from otcondense.selection.baselines.zcore import ZCoreSelector
from otcondense.selection.geometry_aware import GeometryAwareSelector

SELECTORS: dict[str, type[Selector]] = {
    "geometry_aware": GeometryAwareSelector,
    "random": RandomSelector,
    "herding": HerdingSelector,
    "k_center": KCenterSelector,
    "ccs": CcsSelector,
    "dq": DqSelector,
    "d2c": D2cSelector,
    "nearest_mean": NearestMeanSelector,
    "k_means": KMeansSelector,
    "k_medoids": KMedoidsSelector,
    "gaussian_density": GaussianDensitySelector,
    "uniprot": UniProtSelector,
    "zcore": ZCoreSelector,
    "subzerocore": SubZeroCoreSelector,
}
"""Every selector, by the name used in configurations."""


def versioned(method: str) -> str:
    """Return the name of a method, with its version if that is not the first.

    Results are stored under it, so that those of an older version are not taken for new ones.
    """
    version = SELECTORS[method].VERSION
    return method if version == 1 else f"{method}/{version}"
