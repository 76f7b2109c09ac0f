"""The parts that all measurements of a run share: judges, held-out and chosen images, reference."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from jaxtyping import Float
from torch import Tensor

from jobs.judging.run_images import HeldOutImages, chosen_images, image_set
from jobs.judging.stored_sets import StoredSets
from jobs.run_directory.identity import identity
from jobs.run_directory.run import Run
from otcondense.datasets.listing import identity_of
from otcondense.evaluation import (
    METRICS_VERSION,
    EvaluationConfig,
    ImageSet,
    Judge,
    Reference,
)
from pipeline.judged_sets import StoredFeatures
from pipeline.judges import JudgeConfig


@dataclass(frozen=True)
class Evaluation:
    """The shared parts of the measurements of a run; each is loaded when first needed."""

    run: Run
    apart: str = ""
    """Part of the names of its files, for processes that share a run directory."""
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
    def main(self) -> JudgeConfig:
        """The network of the main metrics."""
        encoder = self.run.config.judge_or_encoder
        if self.settings.network == "inception":
            weights = self.settings.inception_weights
            return JudgeConfig.inception(weights, encoder.device, self.settings.batch_size)
        return JudgeConfig.of(encoder, self.settings.batch_size)

    @cached_property
    def further(self) -> dict[str, JudgeConfig]:
        """Further networks by the prefix of their metrics."""
        judges = self.run.config.judges
        return {
            name: JudgeConfig.of(each, self.settings.batch_size) for name, each in judges.items()
        }

    @cached_property
    def judge(self) -> Judge:
        """The network of the main metrics, loaded into this process."""
        return Judge(self.main.load(), self.settings.batch_size)

    @property
    def measured_subsets(self) -> list[str]:
        """The subsets that models are trained on, which are measured themselves."""
        trained = {method for _, method in self.run.trainings()}
        return [method for method in self.run.config.selection.subsets if method in trained]

    def sets(self, judge: JudgeConfig) -> StoredSets:
        """Return the sets of the evaluation through one network."""
        return StoredSets(self.run, judge, self.held_out, self.apart)

    @cached_property
    def held_out_features(self) -> Float[Tensor, "n d"]:
        """Features of the held-out images: stored ones, else they are encoded here."""
        stored = self.sets(self.main).held_out()
        if stored.is_encoded():
            return StoredFeatures(stored.files).read(self.run.store)
        return self.judge.encode_once(self.held_out.images).features

    def chosen_features(self, method: str) -> Float[Tensor, "n d"]:
        """Return the features of a subset: stored ones, else its images are encoded here."""
        sets = self.sets(self.main)
        stored = sets.chosen(self.measured_subsets)
        if stored.is_encoded():
            return sets.of_method(stored, method).read(self.run.store)
        return self.judge.encode_once(self.training(method)).features

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
            [name, identity(config.judges[name]), judge.weights_sha256]
            for name, judge in sorted(self.further.items())
        ]
        return [
            METRICS_VERSION,
            [identity(self.held_out.source), identity_of(self.held_out.listing.table)],
            self.main.weights_sha256,
            identity(config.judge_or_encoder),
            identity(self.settings),
            None if self.reference is None else self.reference.sha256,
            *judges,
        ]
