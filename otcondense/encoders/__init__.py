"""Image classifiers and feature extractors: one forward pass gives features and logits."""

from otcondense.encoders.confidence import ConfidenceConfig, cross_entropy, entropy, max_prob
from otcondense.encoders.encoder import (
    Encoder,
    EncoderConfig,
    EncoderOutput,
    TrainEncoderConfig,
    load_encoder,
    weights_sha256,
)
from otcondense.encoders.probe import ProbeConfig, assign_folds, cross_fitted_logits
from otcondense.encoders.training import EncoderTraining, train_encoder
from otcondense.encoders.transforms import InputSpec

__all__ = [
    "ConfidenceConfig",
    "Encoder",
    "EncoderConfig",
    "EncoderOutput",
    "EncoderTraining",
    "InputSpec",
    "ProbeConfig",
    "TrainEncoderConfig",
    "assign_folds",
    "cross_entropy",
    "cross_fitted_logits",
    "entropy",
    "load_encoder",
    "max_prob",
    "train_encoder",
    "weights_sha256",
]
