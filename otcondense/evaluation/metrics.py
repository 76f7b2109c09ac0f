"""Evaluation of samples, and of a subset without training: every figure with what it was computed from."""

import math
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation.checks import ArrayOrTensor, as_features, as_images
from otcondense.evaluation.copies import copying
from otcondense.evaluation.distances import nearest_neighbours
from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, encode_images
from otcondense.evaluation.fidelity import fidelity_metrics
from otcondense.evaluation.frechet import (
    feature_statistics,
    frechet_distance,
    frechet_distance_of_statistics,
)
from otcondense.evaluation.kernel import gaussian_distance
from otcondense.evaluation.manifold import density_coverage, precision_recall
from otcondense.evaluation.memorisation import (
    authenticity,
    copying_test,
    near_copy_share,
    near_duplicates,
)
from otcondense.evaluation.settings import EvaluationConfig
from otcondense.evaluation.uncertainty import frechet_error, share_error

METRICS_VERSION = 3
"""Grows whenever the same features give other figures; stored ones are then computed again."""

SIGNIFICANT_DIGITS = 9
"""Of every recorded figure: what lies beyond changes with the number of threads."""


@dataclass(frozen=True)
class Metrics:
    """Figures of one set of samples, and what they were computed from."""

    values: dict[str, float]
    """By name: fid, kid, inception_score (torch-fidelity); frechet_distance, precision, recall, density, coverage, copy_share, ... (ours)."""
    num_samples: int
    num_held_out: int
    num_training: int | None
    """Chosen images for the copy share; None where none were given."""
    encoder: str
    encoder_sha256: str
    settings: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values, figures to 9 significant digits."""
        return {
            "values": {name: _rounded(value) for name, value in sorted(self.values.items())},
            "num_samples": self.num_samples,
            "num_held_out": self.num_held_out,
            "num_training": self.num_training,
            "encoder": self.encoder,
            "encoder_sha256": self.encoder_sha256,
            "settings": self.settings,
        }


def evaluate_images(
    samples: ArrayOrTensor,
    held_out: ArrayOrTensor,
    encoder: ImageEncoder,
    config: EvaluationConfig | None = None,
    *,
    training: ArrayOrTensor | None = None,
) -> Metrics:
    """Measure samples against held-out images; each image passes the encoder once.

    Args:
        samples: [n, c, h, w] uint8 generated images.
        held_out: [m, c, h, w] uint8 real images that no stage before has seen.
        encoder: see `ImageEncoder`.
        config: settings; None is the defaults.
        training: [l, c, h, w] uint8 chosen images the model was trained on; None leaves the copy figures out.

    Returns: figures with counts, encoder and settings.
    Raises: InputError for too few images (saying how many), wrong types or shapes, and NaN features.
    """
    config = config or EvaluationConfig()
    generated = as_images(
        "the samples", samples, max(config.minimum_images, config.inception_score_splits)
    )
    real = as_images("the held-out images", held_out, config.minimum_images)
    chosen = None if training is None else as_images("the chosen images", training, 1)
    _check_same_shape(generated, real, chosen)
    encoded = [
        None if each is None else encode_images(each, encoder, config.batch_size)
        for each in (generated, real, chosen)
    ]
    assert encoded[0] is not None
    assert encoded[1] is not None
    return evaluate_encoded(encoded[0], encoded[1], encoder, config, training=encoded[2])


def evaluate_encoded(
    samples: EncodedImages,
    held_out: EncodedImages,
    encoder: ImageEncoder,
    config: EvaluationConfig,
    *,
    training: EncodedImages | None = None,
) -> Metrics:
    """Measure samples by what an encoder gave for them; arguments and errors as for `evaluate_images`.

    Of figures `NAME`, `NAME_std` is the standard error from the number of samples, or the spread over the parts of KID and Inception Score.
    """
    _check_counts(samples, held_out, config)
    values = _sample_metrics(samples, held_out, config)
    if training is not None:
        values |= copy_metrics(samples.features, held_out.features, training.features, config)
    return Metrics(
        values=values,
        num_samples=len(samples),
        num_held_out=len(held_out),
        num_training=None if training is None else len(training),
        encoder=encoder.name,
        encoder_sha256=encoder.weights_sha256,
        settings={
            **config.model_dump(mode="json"),
            "metrics_version": METRICS_VERSION,
            "torch_fidelity": version("torch-fidelity"),
        },
    )


def further_metrics(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, neighbours: int = 3
) -> dict[str, float]:
    """Measure samples by the features of one more network: on DINOv2's frechet_distance is FD-DINOv2, on CLIP's cmmd is CMMD.

    Args:
        samples: [n, d], n > neighbours.
        held_out: [m, d] of the same network, m > neighbours.
        neighbours: k of precision, recall, density and coverage.

    Returns: frechet_distance, precision, recall, density, coverage, cmmd.
    Raises: InputError for unfit features or too few images.
    """
    one = as_features("the samples", samples, max(2, neighbours + 1))
    two = as_features("the held-out images", held_out, max(2, neighbours + 1))
    return {**_distribution_metrics(one, two, neighbours), "cmmd": gaussian_distance(one, two)}


def subset_quality(
    subset_features: ArrayOrTensor, held_out_features: ArrayOrTensor, neighbours: int = 3
) -> dict[str, float]:
    """Measure a subset of real images without training: as if its images were samples.

    Use features of an encoder that the selection did not see, and compare subsets of one size only.

    Args:
        subset_features: [n, d], n > neighbours.
        held_out_features: [m, d] of the same encoder, m > neighbours.
        neighbours: k of precision, recall, density and coverage.

    Returns: frechet_distance, precision, recall, density, coverage; duplicate_share and leakage_share (see `near_duplicates`);
        num_images and num_held_out.
    Raises: InputError for unfit features or too few images.
    """
    subset = as_features("the subset", subset_features, max(2, neighbours + 1))
    held_out = as_features("the held-out images", held_out_features, max(2, neighbours + 1))
    duplicates, leakage = near_duplicates(subset, held_out)
    values = {
        **_distribution_metrics(subset, held_out, neighbours),
        "duplicate_share": duplicates,
        "leakage_share": leakage,
    }
    return {name: _rounded(value) for name, value in values.items()} | {
        "num_images": len(subset),
        "num_held_out": len(held_out),
    }


def _distribution_metrics(features: Tensor, held_out: Tensor, neighbours: int) -> dict[str, float]:
    inside, filled = (
        precision_recall(features, held_out, neighbours),
        density_coverage(features, held_out, neighbours),
    )
    return {
        "frechet_distance": frechet_distance(features, held_out),
        **inside._asdict(),
        **filled._asdict(),
    }


def _sample_metrics(
    samples: EncodedImages, held_out: EncodedImages, config: EvaluationConfig
) -> dict[str, float]:
    statistics = (
        feature_statistics(samples.features, "the samples"),
        feature_statistics(held_out.features, "the held-out images"),
    )
    values = fidelity_metrics(samples, held_out, statistics, config)
    values["frechet_distance"] = frechet_distance_of_statistics(*statistics)
    values |= precision_recall(samples.features, held_out.features, config.neighbours)._asdict()
    values |= density_coverage(samples.features, held_out.features, config.neighbours)._asdict()
    values |= {f"{name}_std": share_error(values[name], len(samples)) for name in ("precision",)}
    values |= {
        f"{name}_std": share_error(values[name], len(held_out)) for name in ("recall", "coverage")
    }
    if config.error_groups:
        error = frechet_error(samples.features, statistics[1], config.error_groups, config.seed)
        values |= {"fid_std": error, "frechet_distance_std": error}
    return values


def copy_metrics(
    samples: ArrayOrTensor,
    held_out: ArrayOrTensor,
    training: ArrayOrTensor,
    config: EvaluationConfig,
) -> dict[str, float]:
    """Return everything that tells whether samples copy the chosen images, from features.

    Args:
        samples: [n, d].
        held_out: [m, d] of images that no stage before has seen.
        training: [l, d] of the chosen images.
        config: settings.

    Raises: InputError for unfit features.
    """
    found = copying(samples, training, held_out, draws=config.copy_draws, seed=config.seed)
    values = {
        "copy_share": found.copy_share,
        "copy_share_std": math.hypot(
            found.copy_share_std, share_error(found.copy_share, len(samples))
        ),
        "copy_distance_ratio": found.distance_ratio,
        "copy_set_size": float(found.set_size),
        "nearest_training_distance": float(
            nearest_neighbours(samples, training).distances.median()
        ),
        "copying_test": copying_test(samples, training, held_out, seed=config.seed),
    }
    if len(training) > 1:
        values |= {
            "near_copy_share": near_copy_share(samples, training),
            "authenticity": authenticity(samples, training),
        }
    return {name: value for name, value in values.items() if not math.isnan(value)}


def _check_counts(
    samples: EncodedImages, held_out: EncodedImages, config: EvaluationConfig
) -> None:
    as_features(
        "the samples", samples.features, max(config.minimum_images, config.inception_score_splits)
    )
    as_features("the held-out images", held_out.features, config.minimum_images)


def _check_same_shape(*sets: UInt8[Tensor, "_ _ _ _"] | None) -> None:
    shapes = {tuple(each.shape[1:]) for each in sets if each is not None}
    if len(shapes) > 1:
        raise InputError(
            f"samples, held-out and chosen images must have one shape, found {sorted(shapes)} (channels, height, width)"
        )


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
