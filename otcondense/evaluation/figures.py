"""The functions of the metrics: each takes `FeatureSets` and returns one number.

`registry.METRICS` names them; the mathematics is in the modules they call.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

from jaxtyping import Float
from torch import Tensor

from otcondense.evaluation import memorisation
from otcondense.evaluation.copies import Copying, copying
from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.fidelity import MeanSpread, fidelity_fid, fidelity_kid, fidelity_score
from otcondense.evaluation.frechet import (
    FeatureStatistics,
    feature_statistics,
    frechet_distance_of_statistics,
)
from otcondense.evaluation.kernel import gaussian_distance
from otcondense.evaluation.manifold import (
    BallFigures,
    DensityCoverage,
    PrecisionRecall,
    ball_figures,
)
from otcondense.evaluation.monge import monge_distance
from otcondense.evaluation.neighbours import nearest_neighbours
from otcondense.evaluation.uncertainty import frechet_error, share_error


@dataclass(frozen=True)
class FeatureSets:
    """The features that metrics compare, and the results that several metrics share."""

    samples: EncodedImages
    """Features of the samples, or of a subset."""
    held_out: EncodedImages
    config: EvaluationConfig
    training: Float[Tensor, "l d"] | None = None
    """Features of the images that the model was trained on."""

    def with_samples(self, samples: EncodedImages) -> "FeatureSets":
        """Return other samples against the same held-out images, whose statistics are shared."""
        made = replace(self, samples=samples)
        made.__dict__["held_out_statistics"] = self.held_out_statistics
        return made

    @cached_property
    def sample_statistics(self) -> FeatureStatistics:
        """Mean and covariance of the samples."""
        return feature_statistics(self.samples.features, "the samples")

    @cached_property
    def held_out_statistics(self) -> FeatureStatistics:
        """Mean and covariance of the held-out images."""
        return feature_statistics(self.held_out.features, "the held-out images")

    @cached_property
    def frechet_error(self) -> float | None:
        """Standard error of the Fréchet distance; None without groups."""
        groups = self.config.error_groups
        if groups == 0:
            return None
        features = self.samples.features
        return frechet_error(features, self.held_out_statistics, groups, self.config.seed)

    @cached_property
    def frechet_distance(self) -> float:
        """Our own Fréchet distance."""
        return frechet_distance_of_statistics(self.sample_statistics, self.held_out_statistics)

    @cached_property
    def kid(self) -> MeanSpread:
        """Kernel distance."""
        return fidelity_kid(self.samples, self.held_out, self.config)

    @cached_property
    def inception_score(self) -> MeanSpread | None:
        """Inception Score; None without logits."""
        if self.samples.logits is None:
            return None
        return fidelity_score(self.samples.logits, self.config)

    @cached_property
    def balls(self) -> BallFigures:
        """Precision, recall, density and coverage."""
        neighbours = self.config.neighbours
        return ball_figures(self.samples.features, self.held_out.features, neighbours)

    @property
    def precision_recall(self) -> PrecisionRecall:
        """Precision and recall."""
        return self.balls.precision_recall

    @property
    def density_coverage(self) -> DensityCoverage:
        """Density and coverage."""
        return self.balls.density_coverage

    @cached_property
    def near_duplicates(self) -> tuple[float, float]:
        """Duplicate share and leakage share of a subset."""
        return memorisation.near_duplicates(self.samples.features, self.held_out.features)

    @property
    def chosen(self) -> Float[Tensor, "l d"]:
        """Features of the training images, for metrics of copying."""
        assert self.training is not None, "metrics of copying are computed with training images"
        return self.training

    @cached_property
    def copying(self) -> Copying:
        """Copy share and distance ratio."""
        return copying(
            self.samples.features,
            self.chosen,
            self.held_out.features,
            draws=self.config.copy_draws,
            seed=self.config.seed,
        )


def fid(sets: FeatureSets) -> float:
    """Return torch-fidelity's Fréchet distance through Inception.

    Through a judge it is our own: no published number is compared with it, and torch-fidelity's
    takes ten times as long.
    """
    if sets.config.network != "inception":
        return sets.frechet_distance
    return fidelity_fid(sets.sample_statistics, sets.held_out_statistics)


def frechet_distance(sets: FeatureSets) -> float:
    """Return our own Fréchet distance."""
    return sets.frechet_distance


def frechet_distance_error(sets: FeatureSets) -> float | None:
    """Return the standard error of both Fréchet distances."""
    return sets.frechet_error


def kid(sets: FeatureSets) -> float:
    """Return torch-fidelity's kernel distance."""
    return sets.kid.mean


def mind(sets: FeatureSets) -> float:
    """Return the Monge Inception Distance."""
    return monge_distance(sets.samples.features, sets.held_out.features, seed=sets.config.seed)


def kid_error(sets: FeatureSets) -> float:
    """Return the spread of the kernel distance over its subsets."""
    return sets.kid.spread


def cmmd(sets: FeatureSets) -> float:
    """Return the kernel distance of unit vectors, which is CMMD on CLIP features."""
    return gaussian_distance(sets.samples.features, sets.held_out.features)


def inception_score(sets: FeatureSets) -> float | None:
    """Return the Inception Score; None without logits."""
    return None if sets.inception_score is None else sets.inception_score.mean


def inception_score_error(sets: FeatureSets) -> float | None:
    """Return the spread of the Inception Score over its parts; None without logits."""
    return None if sets.inception_score is None else sets.inception_score.spread


def precision(sets: FeatureSets) -> float:
    """Return the share of samples in the ball of a held-out image."""
    return sets.precision_recall.precision


def precision_error(sets: FeatureSets) -> float:
    """Return the standard error of precision."""
    return share_error(sets.precision_recall.precision, len(sets.samples))


def recall(sets: FeatureSets) -> float:
    """Return the share of held-out images in the ball of a sample."""
    return sets.precision_recall.recall


def recall_error(sets: FeatureSets) -> float:
    """Return the standard error of recall."""
    return share_error(sets.precision_recall.recall, len(sets.held_out))


def density(sets: FeatureSets) -> float:
    """Return the mean number of balls of held-out images that a sample lies in, divided by k."""
    return sets.density_coverage.density


def coverage(sets: FeatureSets) -> float:
    """Return the share of held-out images whose ball holds a sample."""
    return sets.density_coverage.coverage


def coverage_error(sets: FeatureSets) -> float:
    """Return the standard error of coverage."""
    return share_error(sets.density_coverage.coverage, len(sets.held_out))


def duplicate_share(sets: FeatureSets) -> float:
    """Return the share of chosen images with a near duplicate among the chosen images."""
    return sets.near_duplicates[0]


def leakage_share(sets: FeatureSets) -> float:
    """Return the share of chosen images with a near duplicate among the held-out images."""
    return sets.near_duplicates[1]


def copy_share(sets: FeatureSets) -> float:
    """Return the share of samples that are nearer to a chosen image than to a held-out image."""
    return sets.copying.copy_share


def copy_share_error(sets: FeatureSets) -> float:
    """Return the standard error of the copy share, from the draws and the number of samples."""
    from_samples = share_error(sets.copying.copy_share, len(sets.samples))
    return math.hypot(sets.copying.copy_share_std, from_samples)


def copy_distance_ratio(sets: FeatureSets) -> float | None:
    """Return the median ratio of the distances to the nearest chosen and held-out image."""
    return _known(sets.copying.distance_ratio)


def near_copy_share(sets: FeatureSets) -> float | None:
    """Return the share of near copies; None for a single chosen image."""
    if len(sets.chosen) < memorisation.LEAST_CHOSEN:
        return None
    return memorisation.near_copy_share(sets.samples.features, sets.chosen)


def authenticity(sets: FeatureSets) -> float | None:
    """Return the share of authentic samples; None for a single chosen image."""
    if len(sets.chosen) < memorisation.LEAST_CHOSEN:
        return None
    return memorisation.authenticity(sets.samples.features, sets.chosen)


def copying_test(sets: FeatureSets) -> float | None:
    """Return the statistic of the copying test; None with too few samples."""
    samples = sets.samples.features
    held_out = sets.held_out.features
    return _known(memorisation.copying_test(samples, sets.chosen, held_out, seed=sets.config.seed))


def nearest_training_distance(sets: FeatureSets) -> float:
    """Return the median distance from a sample to its nearest chosen image."""
    distances = nearest_neighbours(sets.samples.features, sets.chosen).distances
    return float(distances.median())


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
