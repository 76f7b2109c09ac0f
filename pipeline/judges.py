"""The networks that images are measured through: what a worker needs to load one."""

from dataclasses import dataclass
from typing import Self

from otcondense.devices import DeviceSetting, resolve_device
from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.errors import InputError
from otcondense.evaluation import EvaluationConfig, ImageEncoder, Inception, NamedEncoder
from otcondense.store import fingerprint

VERSION = 1
"""Increases if the same images and weights give other stored features."""


@dataclass(frozen=True)
class JudgeConfig:
    """A network with the digest of its weights, before it is loaded; workers get a copy."""

    name: str
    weights_sha256: str
    encoder: EncoderConfig | None
    """None is the Inception network of FID."""
    inception_weights: str | None
    device: DeviceSetting
    batch_size: int
    """Images that are encoded together."""

    @classmethod
    def of(cls, encoder: EncoderConfig, batch_size: int) -> Self:
        """Return the judge of a network of timm.

        Raises: InputError if its weights are missing.
        """
        sha256 = weights_sha256(encoder)
        return cls(encoder.name, sha256, encoder, None, encoder.device, batch_size)

    @classmethod
    def inception(cls, weights: str | None, device: DeviceSetting, batch_size: int) -> Self:
        """Return the judge of Inception, which is loaded once to learn the digest.

        Raises: InputError if its weights are missing.
        """
        sha256 = Inception(weights, "cpu").weights_sha256
        return cls(Inception.name, sha256, None, weights, device, batch_size)

    @property
    def key(self) -> str:
        """Fingerprint of all that decides the features of an image."""
        settings = None if self.encoder is None else self.encoder.identity()
        return fingerprint([VERSION, self.name, self.weights_sha256, settings, self.batch_size])

    def load(self, *, assigned: bool | None = None) -> ImageEncoder:
        """Load the network.

        Args:
            assigned: whether the cluster gave the worker a GPU; None without a cluster.

        Raises: InputError if its weights have changed, or its GPU cannot be used.
        """
        device = resolve_device(self.device, assigned=assigned, on_cpu="judge.device=cpu")
        if self.encoder is None:
            network: ImageEncoder = Inception(self.inception_weights, device)
        else:
            network = load_network(self.encoder.model_copy(update={"device": device}))
        self.check_weights(network.weights_sha256)
        return network

    def check_weights(self, sha256: str) -> None:
        """Check the digest of the weights that were loaded.

        Raises: InputError if it is not that of the plan.
        """
        if sha256 != self.weights_sha256:
            raise InputError(
                f"the weights of the judge {self.name} changed during the run; run the stage again"
            )


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
