"""Diffusion transformers: the DiT/SiT backbone, objectives, the training step, checkpoints and samplers."""

from otcondense.diffusion.data import Moments, Pixels, TrainingSet
from otcondense.diffusion.model import MODELS, ModelConfig, Transformer, build_model
from otcondense.diffusion.registry import OBJECTIVES
from otcondense.diffusion.sampler import SamplerConfig, sample_batch
from otcondense.diffusion.training import TrainState, create_state, make_batch, train_step
from otcondense.diffusion.training_config import TrainingConfig

__all__ = [
    "MODELS",
    "OBJECTIVES",
    "ModelConfig",
    "Moments",
    "Pixels",
    "SamplerConfig",
    "TrainState",
    "TrainingConfig",
    "TrainingSet",
    "Transformer",
    "build_model",
    "create_state",
    "make_batch",
    "sample_batch",
    "train_step",
]
