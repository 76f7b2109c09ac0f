"""How sure a classifier is of each image, from its logits, computed in float64."""

from typing import Literal

import torch
from jaxtyping import Float, Int64
from pydantic import model_validator
from torch import Tensor

from otcondense.config import Config
from otcondense.encoders.encoder import EncoderConfig
from otcondense.encoders.probe import ProbeConfig


class ConfidenceConfig(Config):
    """Where the confidence in each image's label comes from."""

    kind: Literal["classifier", "probe", "none"] = "classifier"
    """classifier: from a network that knows the classes, the encoder itself unless `classifier` names another; probe: from linear
    probes fitted on the features, for classes that no network knows; none: the selection does without (beta is then 0)."""
    classifier: EncoderConfig | None = None
    """A network for the confidences beside the one for the features; null takes the encoder's own classifier."""
    probe: ProbeConfig = ProbeConfig()
    """The probe, for kind probe."""

    @model_validator(mode="after")
    def _check(self) -> "ConfidenceConfig":
        if self.classifier is not None and self.kind != "classifier":
            raise ValueError(
                f"confidence.classifier is not used with kind {self.kind}; leave it out or set kind=classifier"
            )
        return self

    @property
    def comes_with_features(self) -> bool:
        """Whether the encoder of the features gives the confidences as well."""
        return self.kind == "classifier" and self.classifier is None

    def identity(self) -> list[object]:
        """Return the settings that decide the confidences, an empty list where they come with the features."""
        if self.comes_with_features:
            return []
        part = {
            "classifier": self.classifier and self.classifier.identity(),
            "probe": self.probe.model_dump(mode="json"),
            "none": None,
        }
        return [self.kind, part[self.kind]]


def cross_entropy(logits: Float[Tensor, "b c"], labels: Int64[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return -log p(label) of each image in nats, >= 0, as float32."""
    chosen: Tensor = log_probabilities(logits).gather(1, labels[:, None]).squeeze(1)
    return chosen.neg().clamp_min(0).float()


def entropy(logits: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Return the entropy of the predicted distribution in nats, between 0 and log c, as float32."""
    log_p = log_probabilities(logits)
    information: Tensor = torch.special.xlogy(log_p.exp(), log_p.exp())
    return information.sum(1).neg().float()


def max_prob(logits: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Return the largest predicted probability, between 1/c and 1, as float32."""
    return log_probabilities(logits).amax(1).exp().float()


def log_probabilities(logits: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """Return log softmax in float64, so that confident predictions do not round to 0."""
    return logits.double().log_softmax(1)
