"""The networks of an evaluation, from their configurations."""

from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.evaluation import ImageEncoder, Inception, NamedEncoder
from otcondense.evaluation.evaluation_config import EvaluationConfig


def load_network(config: EncoderConfig) -> NamedEncoder:
    """Return a network with its weights.

    Raises: InputError if the weights are missing or do not fit.
    """
    return NamedEncoder(config.name, weights_sha256(config), load_encoder(config).encode_pixels)


def load_main_network(
    settings: EvaluationConfig, judge: EncoderConfig | None, device: str
) -> ImageEncoder:
    """Return the network of the main metrics.

    Args:
        settings: settings of the metrics.
        judge: the network, unless the settings ask for Inception.
        device: device of Inception; a judge has its own.

    Raises: InputError if the weights are missing or do not fit.
    """
    if settings.network == "inception":
        return Inception(settings.inception_weights, device)
    assert judge is not None
    return load_network(judge)
