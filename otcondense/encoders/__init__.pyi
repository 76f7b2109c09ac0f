from .alignment_config import AlignmentConfig as AlignmentConfig
from .confidence import cross_entropy as cross_entropy
from .confidence import entropy as entropy
from .confidence import max_prob as max_prob
from .confidence_config import ConfidenceConfig as ConfidenceConfig
from .encoder import Encoder as Encoder
from .encoder import EncoderOutput as EncoderOutput
from .encoder import load_encoder as load_encoder
from .encoder import weights_sha256 as weights_sha256
from .encoder_config import TRANSFORM_VERSION as TRANSFORM_VERSION
from .encoder_config import EncoderConfig as EncoderConfig
from .encoder_config import TrainEncoderConfig as TrainEncoderConfig
from .margins import area_under_margin as area_under_margin
from .margins_config import MarginConfig as MarginConfig
from .probe import assign_folds as assign_folds
from .probe import cross_fitted_logits as cross_fitted_logits
from .probe_config import ProbeConfig as ProbeConfig
from .training import EncoderTraining as EncoderTraining
from .training import train_encoder as train_encoder
from .transforms import DecodedInput as DecodedInput
from .transforms import InputSpec as InputSpec

__all__ = [
    "TRANSFORM_VERSION",
    "AlignmentConfig",
    "ConfidenceConfig",
    "DecodedInput",
    "Encoder",
    "EncoderConfig",
    "EncoderOutput",
    "EncoderTraining",
    "InputSpec",
    "MarginConfig",
    "ProbeConfig",
    "TrainEncoderConfig",
    "area_under_margin",
    "assign_folds",
    "cross_entropy",
    "cross_fitted_logits",
    "entropy",
    "load_encoder",
    "max_prob",
    "train_encoder",
    "weights_sha256",
]
