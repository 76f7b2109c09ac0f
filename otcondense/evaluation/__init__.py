"""Metrics as pure functions of features, and their computation from images through any encoder."""

from otcondense.evaluation.copying import Copying, copying
from otcondense.evaluation.distances import Neighbours, nearest_neighbours
from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, NamedEncoder, encode_images
from otcondense.evaluation.frechet import FeatureStatistics, feature_statistics, frechet_distance, frechet_distance_of_statistics
from otcondense.evaluation.kernel import kernel_distance
from otcondense.evaluation.manifold import DensityCoverage, PrecisionRecall, density_coverage, precision_recall
from otcondense.evaluation.metrics import Metrics, evaluate_images, subset_quality
from otcondense.evaluation.settings import EvaluationConfig

__all__ = [
    "Copying",
    "DensityCoverage",
    "EncodedImages",
    "EvaluationConfig",
    "FeatureStatistics",
    "ImageEncoder",
    "Metrics",
    "NamedEncoder",
    "Neighbours",
    "PrecisionRecall",
    "copying",
    "density_coverage",
    "encode_images",
    "evaluate_images",
    "feature_statistics",
    "frechet_distance",
    "frechet_distance_of_statistics",
    "kernel_distance",
    "nearest_neighbours",
    "precision_recall",
    "subset_quality",
]
