"""The parts that all measurements of a run share: judges, held-out and chosen images, reference."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jobs.judging.networks import load_main_network, load_network
from jobs.judging.run_images import HeldOutImages, chosen_images, image_set
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.datasets.listing import identity_of
from otcondense.encoders import weights_sha256
from otcondense.evaluation import (
    METRICS_VERSION,
    EvaluationConfig,
    ImageEncoder,
    ImageSet,
    Judge,
    Reference,
)


@dataclass(frozen=True)
class Evaluation:
    """The shared parts of the measurements of a run; each is loaded when first needed."""

    run: Run
    _training: dict[str, ImageSet] = field(default_factory=dict, init=False, repr=False)

    @property
    def settings(self) -> EvaluationConfig:
        """Settings of the metrics."""
        return self.run.config.evaluation

    @cached_property
    def held_out(self) -> HeldOutImages:
        """The held-out images."""
        return HeldOutImages(self.run)

    def training(self, method: str) -> ImageSet:
        """Return the images that a method chose."""
        if method not in self._training:
            self._training[method] = image_set(chosen_images(self.run, method))
        return self._training[method]

    @cached_property
    def judge(self) -> Judge:
        """The network of the main metrics."""
        encoder = self.run.config.judge_or_encoder
        return self._judge(load_main_network(self.settings, encoder, encoder.device))

    @cached_property
    def further(self) -> dict[str, Judge]:
        """Further networks by the prefix of their metrics."""
        judges = self.run.config.judges
        return {name: self._judge(load_network(config)) for name, config in judges.items()}

    def _judge(self, network: ImageEncoder) -> Judge:
        return Judge(network, self.settings.batch_size)

    @cached_property
    def reference(self) -> Reference | None:
        """ADM's reference."""
        path = self.settings.reference
        return None if path is None else Reference.read(path)

    @cached_property
    def inputs(self) -> list[Any]:
        """All inputs of the metrics but the samples, for fingerprints."""
        config = self.run.config
        judges = [
            [name, identity(judge), weights_sha256(judge)]
            for name, judge in sorted(config.judges.items())
        ]
        return [
            METRICS_VERSION,
            [identity(self.held_out.source), identity_of(self.held_out.listing.table)],
            self._main_weights,
            identity(config.judge_or_encoder),
            identity(self.settings),
            None if self.reference is None else self.reference.sha256,
            *judges,
        ]

    @property
    def _main_weights(self) -> str:
        """SHA-256 of the weights of the main network."""
        if self.settings.network == "inception":
            return self.judge.network.weights_sha256
        return weights_sha256(self.run.config.judge_or_encoder)
