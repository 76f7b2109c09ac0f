"""The networks that images are measured through: what a worker needs to load one."""

from dataclasses import dataclass
from typing import Literal, Self

import torch

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
    device: Literal["auto", "cpu", "cuda"]
    batch_size: int
    """Images that are encoded together."""
    needs_gpu: bool = False
    """Whether a worker without a GPU is a mistake, although the device is auto."""

    @classmethod
    def of(cls, encoder: EncoderConfig, batch_size: int) -> Self:
        """Return the judge of a network of timm.

        Raises: InputError if its weights are missing.
        """
        sha256 = weights_sha256(encoder)
        return cls(encoder.name, sha256, encoder, None, encoder.device, batch_size)

    @classmethod
    def inception(
        cls, weights: str | None, device: Literal["auto", "cpu", "cuda"], batch_size: int
    ) -> Self:
        """Return the judge of Inception, which is loaded once to learn the digest.

        Raises: InputError if its weights are missing.
        """
        sha256 = Inception(weights, "cpu").weights_sha256
        return cls(Inception.name, sha256, None, weights, device, batch_size)

    @property
    def uses_gpu(self) -> bool:
        """Whether the network works on a GPU if there is one."""
        return self.device != "cpu"

    @property
    def key(self) -> str:
        """Fingerprint of all that decides the features of an image."""
        settings = None if self.encoder is None else self.encoder.identity()
        return fingerprint([VERSION, self.name, self.weights_sha256, settings, self.batch_size])

    def load(self) -> ImageEncoder:
        """Load the network.

        Raises: InputError if its weights have changed, or it would silently work on a CPU.
        """
        self.check_device()
        network = self._load()
        self.check_weights(network.weights_sha256)
        return network

    def check_device(self) -> None:
        """Check that a worker which should have a GPU finds one.

        Raises: InputError if there is none: the network would silently work on the CPU.
        """
        if self.needs_gpu and self.uses_gpu and not torch.cuda.is_available():
            raise InputError(
                f"the judge {self.name} has device={self.device} and a GPU of the cluster, but "
                "torch finds no GPU in the worker; check the driver (`python -m jobs.doctor`), or "
                "set judge.device=cpu"
            )

    def check_weights(self, sha256: str) -> None:
        """Check the digest of the weights that were loaded.

        Raises: InputError if it is not that of the plan.
        """
        if sha256 != self.weights_sha256:
            raise InputError(
                f"the weights of the judge {self.name} changed during the run; run the stage again"
            )

    def _load(self) -> ImageEncoder:
        if self.encoder is None:
            return Inception(self.inception_weights, self.device)
        return load_network(self.encoder)


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
