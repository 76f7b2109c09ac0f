"""Arithmetic of the networks of a run: encoders are counted, the hub's models are known."""

from otcondense.encoders import EncoderConfig
from otcondense.encoders.arithmetic import encoder_size
from otcondense.evaluation import EvaluationConfig
from otcondense.forecast.encoding import Network
from otcondense.forecast.hardware import INCEPTION_FLOPS
from otcondense.representations import LatentConfig
from otcondense.representations.autoencoder_size import AutoencoderSize, autoencoder_size

VAE_SIDE = 256
"""Height and width of the images that the next three numbers are for."""
VAE_ENCODER_FLOPS = 270.575e9
"""Convolutions and products of the encoder of Stable Diffusion's autoencoder, one image."""
VAE_DECODER_FLOPS = 620.040e9
"""The same of its decoder."""
VAE_ATTENTION_FLOPS = 2.1475e9
"""Attention in the middle of either; it grows with the square of the pixels."""
VAE_CHANNELS = 4
"""Channels of its latents."""
VAE_STRIDE = 8
"""Pixels of the image for each latent, in height and width."""
MOMENTS = 2
"""Arrays of a latent: mean and deviation."""
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


def latent_size(config: LatentConfig) -> AutoencoderSize:
    """Return the sizes of the configured autoencoder.

    One that is not on this machine is taken to be Stable Diffusion's, which is not counted: it is
    known.

    Raises: InputError if it cannot be used, or not for images of this size.
    """
    default = config.model == LatentConfig().model
    found = None if default else autoencoder_size(config)
    return found or _stable_diffusion(config.image_size)


def _stable_diffusion(side: int) -> AutoencoderSize:
    return AutoencoderSize(
        latent_shape=(VAE_CHANNELS, side // VAE_STRIDE, side // VAE_STRIDE),
        arrays=MOMENTS,
        encoder_flops=half_flops(side, VAE_ENCODER_FLOPS),
        decoder_flops=half_flops(side, VAE_DECODER_FLOPS),
    )


def half_flops(side: int, convolutions: float) -> float:
    """Return the arithmetic of a half of Stable Diffusion's autoencoder.

    Args:
        side: of the images in pixels.
        convolutions: of the half, for images of `VAE_SIDE`.
    """
    pixels = (side / VAE_SIDE) ** 2
    return convolutions * pixels + VAE_ATTENTION_FLOPS * pixels**2


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
