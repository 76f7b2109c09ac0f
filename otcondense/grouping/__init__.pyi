from .config import GroupConfig as GroupConfig
from .estimator import BalancedKMeans as BalancedKMeans
from .split import Split as Split
from .split import split_rows as split_rows

__all__ = ["BalancedKMeans", "GroupConfig", "Split", "split_rows"]
