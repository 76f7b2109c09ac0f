"""Image classifiers and feature extractors: one forward pass gives features and logits."""

from otcondense.encoders.confidence import cross_entropy, entropy, max_prob
from otcondense.encoders.encoder import Encoder, EncoderConfig, EncoderOutput, TrainEncoderConfig, load_encoder, weights_sha256
from otcondense.encoders.training import EncoderTraining, train_encoder
from otcondense.encoders.transforms import InputSpec

__all__ = [
    "Encoder",
    "EncoderConfig",
    "EncoderOutput",
    "EncoderTraining",
    "InputSpec",
    "TrainEncoderConfig",
    "cross_entropy",
    "entropy",
    "load_encoder",
    "max_prob",
    "train_encoder",
    "weights_sha256",
]
