from .alignment_config import AlignmentConfig as AlignmentConfig
from .data import Moments as Moments
from .data import Pixels as Pixels
from .data import TrainingSet as TrainingSet
from .denoising_config import DenoisingConfig as DenoisingConfig
from .model import Transformer as Transformer
from .model import build_model as build_model
from .objectives import Objective as Objective
from .objectives import load_objective as load_objective
from .registry import OBJECTIVES as OBJECTIVES
from .registry import ObjectiveEntry as ObjectiveEntry
from .sampler import sample_batch as sample_batch
from .sampler_config import SamplerConfig as SamplerConfig
from .sizes import MODELS as MODELS
from .sizes import ModelConfig as ModelConfig
from .training import TrainState as TrainState
from .training import create_state as create_state
from .training import make_batch as make_batch
from .training import train_step as train_step
from .training_config import TrainingConfig as TrainingConfig

__all__ = [
    "MODELS",
    "OBJECTIVES",
    "AlignmentConfig",
    "DenoisingConfig",
    "ModelConfig",
    "Moments",
    "Objective",
    "ObjectiveEntry",
    "Pixels",
    "SamplerConfig",
    "TrainState",
    "TrainingConfig",
    "TrainingSet",
    "Transformer",
    "build_model",
    "create_state",
    "load_objective",
    "make_batch",
    "sample_batch",
    "train_step",
]
