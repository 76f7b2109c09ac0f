"""Settings of the confidences in the labels of images."""

from typing import Literal

from pydantic import model_validator

from otcondense.config import Config
from otcondense.encoders.alignment_config import AlignmentConfig
from otcondense.encoders.encoder_config import EncoderConfig
from otcondense.encoders.probe_config import ProbeConfig


class ConfidenceConfig(Config):
    """Source of the confidence in each image's label."""

    kind: Literal["classifier", "probe", "alignment", "none"] = "classifier"
    """classifier: a network that knows the classes, the encoder itself unless `classifier` names
    another; probe: linear probes fitted on the features, for classes that no network knows;
    alignment: how well images and captions agree, for sources with captions; none: the selection
    uses no confidences (beta is then 0)."""
    classifier: EncoderConfig | None = None
    """A separate network for the confidences; null takes the encoder's own classifier."""
    probe: ProbeConfig = ProbeConfig()
    """The probe, for kind probe."""
    alignment: AlignmentConfig = AlignmentConfig()
    """The network and its task, for kind alignment."""

    @model_validator(mode="after")
    def _check(self) -> "ConfidenceConfig":
        if self.classifier is not None and self.kind != "classifier":
            raise ValueError(
                f"confidence.classifier is not used with kind {self.kind}; "
                "remove it or set kind=classifier"
            )
        return self

    @property
    def comes_with_features(self) -> bool:
        """Whether the encoder of the features also gives the confidences."""
        return self.kind == "classifier" and self.classifier is None

    @property
    def aligning(self) -> EncoderConfig | None:
        """The network of kind alignment; None for other kinds."""
        return self.alignment.encoder if self.kind == "alignment" else None

    def identity(self) -> list[object]:
        """Return the settings that change the confidences, [] if they come with the features."""
        if self.comes_with_features:
            return []
        if self.kind == "probe":
            return [self.kind, self.probe.model_dump(mode="json")]
        if self.kind == "alignment":
            return [self.kind, *self.alignment.identity()]
        return [self.kind, self.classifier and self.classifier.identity()]
