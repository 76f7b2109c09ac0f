from .base import Selector as Selector
from .baselines.ccs import CcsSelector as CcsSelector
from .baselines.d2c import D2cSelector as D2cSelector
from .baselines.dq import DqSelector as DqSelector
from .baselines.gaussian_density import GaussianDensitySelector as GaussianDensitySelector
from .baselines.herding import HerdingSelector as HerdingSelector
from .baselines.k_center import KCenterSelector as KCenterSelector
from .baselines.k_means import KMeansSelector as KMeansSelector
from .baselines.k_medoids import KMedoidsSelector as KMedoidsSelector
from .baselines.nearest_mean import NearestMeanSelector as NearestMeanSelector
from .baselines.random_choice import RandomSelector as RandomSelector
from .baselines.subzerocore import SubZeroCoreSelector as SubZeroCoreSelector
from .baselines.uniprot import UniProtSelector as UniProtSelector
from .baselines.zcore import ZCoreSelector as ZCoreSelector
from .candidates import Candidates as Candidates
from .class_selector import ClassSelector as ClassSelector
from .diagnostics import Diagnostics as Diagnostics
from .diagnostics import as_json as as_json
from .engine.lower_bound_config import LowerBoundConfig as LowerBoundConfig
from .geometry_aware import GeometryAwareSelector as GeometryAwareSelector
from .registry import SELECTORS as SELECTORS
from .selector_config import SelectorConfig as SelectorConfig
from .watch import Moment as Moment
from .watch import Watcher as Watcher

__all__ = [
    "SELECTORS",
    "Candidates",
    "CcsSelector",
    "ClassSelector",
    "D2cSelector",
    "Diagnostics",
    "DqSelector",
    "GaussianDensitySelector",
    "GeometryAwareSelector",
    "HerdingSelector",
    "KCenterSelector",
    "KMeansSelector",
    "KMedoidsSelector",
    "LowerBoundConfig",
    "Moment",
    "NearestMeanSelector",
    "RandomSelector",
    "Selector",
    "SelectorConfig",
    "SubZeroCoreSelector",
    "UniProtSelector",
    "Watcher",
    "ZCoreSelector",
    "as_json",
]
