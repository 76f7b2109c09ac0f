from .dataset import SubsetDataset as SubsetDataset
from .subset import Subset as Subset
from .subset import SubsetImage as SubsetImage
from .subset import exported_subset as exported_subset
from .subset import manifest_subset as manifest_subset
from .subset import run_subset as run_subset
from .training import prepare_training as prepare_training

__all__ = [
    "Subset",
    "SubsetDataset",
    "SubsetImage",
    "exported_subset",
    "manifest_subset",
    "prepare_training",
    "run_subset",
]
