from .adm import AdmSamples as AdmSamples
from .adm import adm_metrics as adm_metrics
from .adm import half_precision_recall as half_precision_recall
from .adm import inception_score_in_order as inception_score_in_order
from .adm_files import AdmReference as AdmReference
from .adm_files import npz_count as npz_count
from .adm_files import npz_images as npz_images
from .adm_files import read_reference as read_reference
from .classwise import class_frechet_distances as class_frechet_distances
from .classwise import frechet_distance_of_few as frechet_distance_of_few
from .copies import Copying as Copying
from .copies import copying as copying
from .denoising import DenoisingLosses as DenoisingLosses
from .encoding import EncodedImages as EncodedImages
from .encoding import ImageEncoder as ImageEncoder
from .encoding import NamedEncoder as NamedEncoder
from .encoding import Network as Network
from .encoding import count_copies as count_copies
from .encoding import encode_images as encode_images
from .evaluation_config import EvaluationConfig as EvaluationConfig
from .frechet import FeatureStatistics as FeatureStatistics
from .frechet import feature_statistics as feature_statistics
from .frechet import frechet_distance as frechet_distance
from .frechet import frechet_distance_of_statistics as frechet_distance_of_statistics
from .inception import Inception as Inception
from .judge import Comparison as Comparison
from .judge import FeatureCache as FeatureCache
from .judge import ImageSet as ImageSet
from .judge import Judge as Judge
from .judge import Reference as Reference
from .judge import sample_figures as sample_figures
from .judged import Figures as Figures
from .judged import JudgedSets as JudgedSets
from .judged import judged_figures as judged_figures
from .judged import judged_subset as judged_subset
from .kernel import gaussian_distance as gaussian_distance
from .kernel import kernel_distance as kernel_distance
from .manifold import BallFigures as BallFigures
from .manifold import DensityCoverage as DensityCoverage
from .manifold import PrecisionRecall as PrecisionRecall
from .manifold import ball_figures as ball_figures
from .manifold import density_coverage as density_coverage
from .manifold import precision_recall as precision_recall
from .memorisation import authenticity as authenticity
from .memorisation import copying_test as copying_test
from .memorisation import near_copy_share as near_copy_share
from .memorisation import near_duplicates as near_duplicates
from .metrics import METRICS_VERSION as METRICS_VERSION
from .metrics import Metrics as Metrics
from .metrics import compute_group as compute_group
from .metrics import copy_metrics as copy_metrics
from .metrics import evaluate_encoded as evaluate_encoded
from .metrics import evaluate_images as evaluate_images
from .metrics import further_metrics as further_metrics
from .metrics import rounded_values as rounded_values
from .metrics import settings_record as settings_record
from .metrics import subset_quality as subset_quality
from .monge import monge_distance as monge_distance
from .neighbours import Neighbours as Neighbours
from .neighbours import nearest_neighbours as nearest_neighbours
from .registry import METRICS as METRICS
from .registry import Metric as Metric
from .uncertainty import frechet_error as frechet_error
from .uncertainty import share_error as share_error

__all__ = [
    "METRICS",
    "METRICS_VERSION",
    "AdmReference",
    "AdmSamples",
    "BallFigures",
    "Comparison",
    "Copying",
    "DenoisingLosses",
    "DensityCoverage",
    "EncodedImages",
    "EvaluationConfig",
    "FeatureCache",
    "FeatureStatistics",
    "Figures",
    "ImageEncoder",
    "ImageSet",
    "Inception",
    "Judge",
    "JudgedSets",
    "Metric",
    "Metrics",
    "NamedEncoder",
    "Neighbours",
    "Network",
    "PrecisionRecall",
    "Reference",
    "adm_metrics",
    "authenticity",
    "ball_figures",
    "class_frechet_distances",
    "compute_group",
    "copy_metrics",
    "copying",
    "copying_test",
    "count_copies",
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
    "judged_figures",
    "judged_subset",
    "kernel_distance",
    "monge_distance",
    "near_copy_share",
    "near_duplicates",
    "nearest_neighbours",
    "npz_count",
    "npz_images",
    "precision_recall",
    "read_reference",
    "rounded_values",
    "sample_figures",
    "settings_record",
    "share_error",
    "subset_quality",
]
