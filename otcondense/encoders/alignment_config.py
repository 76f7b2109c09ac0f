"""Settings of the agreement of images with their captions."""

from pydantic import Field, model_validator

from otcondense.config import Config
from otcondense.encoders.encoder_config import EncoderConfig

ALIGNMENT_VERSION = 1
"""Counts changes of the score."""
DEFAULT_ENCODER = "clip-l14"


class AlignmentConfig(Config):
    """Agreement of images with their captions, by a network that embeds both."""

    encoder: EncoderConfig = EncoderConfig(name=DEFAULT_ENCODER)
    """Network of transformers for images and texts: CLIP or SigLIP, by its name or folder."""
    others: int = Field(default=1023, ge=1, le=65_535)
    """Other captions of the run that the own one competes with: chance is the logarithm of one
    more, 6.9 nats by default."""

    @model_validator(mode="after")
    def _check(self) -> "AlignmentConfig":
        if self.encoder.transformers_name is None or self.encoder.input != "image":
            raise ValueError(
                "confidence.alignment.encoder must be a CLIP or SigLIP of transformers "
                f"(transformers:NAME), found {self.encoder.name}"
            )
        if self.encoder.pooling is not None:
            raise ValueError(
                "confidence.alignment.encoder.pooling must be null: images and texts are compared "
                f"by the network's own embeddings, found {self.encoder.pooling}"
            )
        return self

    def identity(self) -> list[object]:
        """Return the settings that change the scores."""
        return [ALIGNMENT_VERSION, self.others, self.encoder.identity()]
