"""Arithmetic of the networks of a run: encoders are counted, the hub's models are known."""

from otcondense.encoders import EncoderConfig
from otcondense.encoders.arithmetic import encoder_size
from otcondense.evaluation import EvaluationConfig
from otcondense.forecast.encoding import Network
from otcondense.forecast.hardware import INCEPTION_FLOPS, Precision

VAE_SIDE = 256
"""Height and width of the images that the next three numbers are for."""
VAE_ENCODER_FLOPS = 270.575e9
"""Convolutions and products of the encoder of Stable Diffusion's autoencoder, one image."""
VAE_DECODER_FLOPS = 620.040e9
"""The same of its decoder."""
VAE_ATTENTION_FLOPS = 2.1475e9
"""Attention in the middle of either; it grows with the square of the pixels."""
T5_BYTES = 11.4e9
"""Files of flan-t5-xl: 2.85 billion parameters in float32."""
T5_ENCODER_PARAMETERS = 1.22e9
"""Parameters of its encoder, each used once for a token."""


def encoder_network(config: EncoderConfig) -> Network:
    """Return the arithmetic of an encoder.

    Raises: InputError if there is no such model.
    """
    size = encoder_size(config)
    return Network(size.flops, size.convolutional, config.precision)


def autoencoder(side: int, convolutions: float, precision: Precision = "tf32") -> Network:
    """Return a half of the autoencoder for images of `side` pixels."""
    pixels = (side / VAE_SIDE) ** 2
    flops = convolutions * pixels + VAE_ATTENTION_FLOPS * pixels**2
    return Network(flops, convolutional=True, precision=precision)


def judges(
    judge: EncoderConfig, further: dict[str, EncoderConfig], evaluation: EvaluationConfig
) -> list[Network]:
    """Return the networks of the evaluation."""
    if evaluation.network == "inception":
        main = Network(INCEPTION_FLOPS, convolutional=True)
    else:
        main = encoder_network(judge)
    return [main, *(encoder_network(config) for config in further.values())]


def text_flops(texts: int, tokens: int) -> float:
    """Return the arithmetic of T5's encoder for texts of so many tokens."""
    return 2 * T5_ENCODER_PARAMETERS * texts * tokens
