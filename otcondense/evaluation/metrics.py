"""Evaluation of samples, and of a subset without training: every figure with what it was computed from."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation.checks import ArrayOrTensor, as_features, as_images
from otcondense.evaluation.copying import copying
from otcondense.evaluation.distances import nearest_neighbours
from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, encode_images
from otcondense.evaluation.fidelity import fidelity_metrics
from otcondense.evaluation.frechet import frechet_distance
from otcondense.evaluation.manifold import density_coverage, precision_recall
from otcondense.evaluation.settings import EvaluationConfig

SIGNIFICANT_DIGITS = 9
"""Of every recorded figure: what lies beyond changes with the number of threads."""


@dataclass(frozen=True)
class Metrics:
    """Figures of one set of samples, and what they were computed from."""

    values: dict[str, float]
    """By name: fid, kid, inception_score, precision, recall (torch-fidelity); frechet_distance, density, coverage, copy_share, ... (ours)."""
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
    """Measure samples against held-out images, through torch-fidelity and by our own functions on the same features.

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
    generated = as_images("the samples", samples, max(config.minimum_images, config.inception_score_splits))
    real = as_images("the held-out images", held_out, config.minimum_images)
    chosen = None if training is None else as_images("the chosen images", training, 1)
    _check_same_shape(generated, real, chosen)
    values, generated_rows, real_rows = fidelity_metrics(generated, real, encoder, config)
    values |= _own_metrics(generated_rows, real_rows, config)
    if chosen is not None:
        values |= _copy_metrics(generated_rows, real_rows, encode_images(chosen, encoder, config.batch_size), config)
    return Metrics(
        values=values,
        num_samples=len(generated),
        num_held_out=len(real),
        num_training=None if chosen is None else len(chosen),
        encoder=encoder.name,
        encoder_sha256=encoder.weights_sha256,
        settings={**config.model_dump(mode="json"), "torch_fidelity": version("torch-fidelity")},
    )


def subset_quality(subset_features: ArrayOrTensor, held_out_features: ArrayOrTensor, neighbours: int = 3) -> dict[str, float]:
    """Measure a subset of real images without training: as if its images were samples.

    Use features of an encoder that the selection did not see, and compare subsets of one size only.

    Args:
        subset_features: [n, d], n > neighbours.
        held_out_features: [m, d] of the same encoder, m > neighbours.
        neighbours: k of precision, recall, density and coverage.

    Returns: frechet_distance, precision, recall, density, coverage; num_images and num_held_out.
    Raises: InputError for unfit features or too few images.
    """
    subset = as_features("the subset", subset_features, max(2, neighbours + 1))
    held_out = as_features("the held-out images", held_out_features, max(2, neighbours + 1))
    values = _distribution_metrics(subset, held_out, neighbours)
    return {name: _rounded(value) for name, value in values.items()} | {"num_images": len(subset), "num_held_out": len(held_out)}


def _distribution_metrics(features: Tensor, held_out: Tensor, neighbours: int) -> dict[str, float]:
    inside, filled = precision_recall(features, held_out, neighbours), density_coverage(features, held_out, neighbours)
    return {"frechet_distance": frechet_distance(features, held_out), **inside._asdict(), **filled._asdict()}


def _own_metrics(samples: EncodedImages, held_out: EncodedImages, config: EvaluationConfig) -> dict[str, float]:
    """Return our own figures; precision and recall stay torch-fidelity's."""
    filled = density_coverage(samples.features, held_out.features, config.neighbours)
    return {"frechet_distance": frechet_distance(samples.features, held_out.features), **filled._asdict()}


def _copy_metrics(samples: EncodedImages, held_out: EncodedImages, training: EncodedImages, config: EvaluationConfig) -> dict[str, float]:
    found = copying(samples.features, training.features, held_out.features, draws=config.copy_draws, seed=config.seed)
    nearest = nearest_neighbours(samples.features, training.features).distances[:, 0]
    return {
        "copy_share": found.copy_share,
        "copy_share_std": found.copy_share_std,
        "copy_distance_ratio": found.distance_ratio,
        "copy_set_size": float(found.set_size),
        "nearest_training_distance": float(nearest.median()),
    }


def _check_same_shape(*sets: UInt8[Tensor, "_ _ _ _"] | None) -> None:
    shapes = {tuple(each.shape[1:]) for each in sets if each is not None}
    if len(shapes) > 1:
        raise InputError(f"samples, held-out and chosen images must have one shape, found {sorted(shapes)} (channels, height, width)")


def _rounded(value: float) -> float:
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")
