"""Diffusion transformers: the DiT/SiT backbone, objectives, the training step, checkpoints and samplers."""

from otcondense.diffusion.model import MODELS, ModelConfig, Transformer, build_model
from otcondense.diffusion.objectives import OBJECTIVES
from otcondense.diffusion.sampler import SamplerConfig, sample_batch
from otcondense.diffusion.training import TrainingConfig, TrainState, create_state, make_batch, train_step

__all__ = [
    "MODELS",
    "OBJECTIVES",
    "ModelConfig",
    "SamplerConfig",
    "TrainState",
    "TrainingConfig",
    "Transformer",
    "build_model",
    "create_state",
    "make_batch",
    "sample_batch",
    "train_step",
]
