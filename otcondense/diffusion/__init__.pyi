from .alignment_config import AlignmentConfig as AlignmentConfig
from .checkpoint import restore_state as restore_state
from .checkpoint import save_checkpoint as save_checkpoint
from .checkpoint_files import latest_checkpoint as latest_checkpoint
from .data import Moments as Moments
from .data import Pixels as Pixels
from .data import TrainingSet as TrainingSet
from .denoising_config import DenoisingConfig as DenoisingConfig
from .loss_lines import LossLine as LossLine
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
from .train_job import TrainJob as TrainJob
from .training import TrainState as TrainState
from .training import create_state as create_state
from .training import learning_rate as learning_rate
from .training import make_batch as make_batch
from .training import train_step as train_step
from .training_config import TrainingConfig as TrainingConfig
from .workers import Workers as Workers

__all__ = [
    "MODELS",
    "OBJECTIVES",
    "AlignmentConfig",
    "DenoisingConfig",
    "LossLine",
    "ModelConfig",
    "Moments",
    "Objective",
    "ObjectiveEntry",
    "Pixels",
    "SamplerConfig",
    "TrainJob",
    "TrainState",
    "TrainingConfig",
    "TrainingSet",
    "Transformer",
    "Workers",
    "build_model",
    "create_state",
    "latest_checkpoint",
    "learning_rate",
    "load_objective",
    "make_batch",
    "restore_state",
    "sample_batch",
    "save_checkpoint",
    "train_step",
]
