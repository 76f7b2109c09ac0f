"""Metrics as pure functions of features, and their computation from images through any encoder."""

from otcondense.evaluation.adm import (
    AdmReference,
    AdmSamples,
    adm_metrics,
    half_precision_recall,
    inception_score_in_order,
    npz_images,
    read_reference,
)
from otcondense.evaluation.classwise import class_frechet_distances, frechet_distance_of_few
from otcondense.evaluation.copies import Copying, copying
from otcondense.evaluation.distances import Neighbours, nearest_neighbours
from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, NamedEncoder, encode_images
from otcondense.evaluation.frechet import (
    FeatureStatistics,
    feature_statistics,
    frechet_distance,
    frechet_distance_of_statistics,
)
from otcondense.evaluation.inception import Inception
from otcondense.evaluation.kernel import gaussian_distance, kernel_distance
from otcondense.evaluation.manifold import (
    DensityCoverage,
    PrecisionRecall,
    density_coverage,
    precision_recall,
)
from otcondense.evaluation.memorisation import (
    authenticity,
    copying_test,
    near_copy_share,
    near_duplicates,
)
from otcondense.evaluation.metrics import (
    METRICS_VERSION,
    Metrics,
    copy_metrics,
    evaluate_encoded,
    evaluate_images,
    further_metrics,
    subset_quality,
)
from otcondense.evaluation.settings import EvaluationConfig
from otcondense.evaluation.uncertainty import frechet_error, share_error

__all__ = [
    "METRICS_VERSION",
    "AdmReference",
    "AdmSamples",
    "Copying",
    "DensityCoverage",
    "EncodedImages",
    "EvaluationConfig",
    "FeatureStatistics",
    "ImageEncoder",
    "Inception",
    "Metrics",
    "NamedEncoder",
    "Neighbours",
    "PrecisionRecall",
    "adm_metrics",
    "authenticity",
    "class_frechet_distances",
    "copy_metrics",
    "copying",
    "copying_test",
    "density_coverage",
    "encode_images",
    "evaluate_encoded",
    "evaluate_images",
    "feature_statistics",
    "frechet_distance",
    "frechet_distance_of_few",
    "frechet_distance_of_statistics",
    "frechet_error",
    "further_metrics",
    "gaussian_distance",
    "half_precision_recall",
    "inception_score_in_order",
    "kernel_distance",
    "near_copy_share",
    "near_duplicates",
    "nearest_neighbours",
    "npz_images",
    "precision_recall",
    "read_reference",
    "share_error",
    "subset_quality",
]
