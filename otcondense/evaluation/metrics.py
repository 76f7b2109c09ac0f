"""Evaluation of samples and of subsets: computes the metrics of the registry from features."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jaxtyping import UInt8
from torch import Tensor

from otcondense.errors import InputError
from otcondense.evaluation.checks import ArrayOrTensor, as_features, as_images
from otcondense.evaluation.encoding import EncodedImages, ImageEncoder, Network, encode_images
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.figures import FeatureSets
from otcondense.evaluation.registry import Group, metrics_of

METRICS_VERSION = 5
"""Increases if the same features give other values; stored values are then recomputed."""

SIGNIFICANT_DIGITS = 9
"""Of every stored value: further digits change with the number of threads."""


@dataclass(frozen=True)
class Metrics:
    """Metrics of one set of samples, and their inputs."""

    values: dict[str, float]
    """By the names of `registry.METRICS`, and NAME_std for standard errors."""
    num_samples: int
    num_held_out: int
    num_training: int | None
    """Chosen images for the metrics of copying; None without them."""
    encoder: str
    encoder_sha256: str
    settings: dict[str, Any]

    def record(self) -> dict[str, Any]:
        """Return everything as JSON values, metrics to 9 significant digits."""
        return {
            "values": rounded_values(dict(sorted(self.values.items()))),
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
        held_out: [m, c, h, w] uint8 real images that no earlier stage has seen.
        encoder: see `ImageEncoder`.
        config: settings; None takes the defaults.
        training: [l, c, h, w] uint8 chosen images that the model was trained on; None skips the
            metrics of copying.

    Returns: metrics with counts, encoder and settings.
    Raises: InputError for too few images, wrong types or shapes, and NaN features.
    """
    config = config or EvaluationConfig()
    least_samples = max(config.minimum_images, config.inception_score_splits)
    generated = as_images("the samples", samples, least_samples)
    real = as_images("the held-out images", held_out, config.minimum_images)
    chosen = None if training is None else as_images("the chosen images", training, 1)
    _check_same_shape(generated, real, chosen)

    encoded_samples = encode_images(generated, encoder, config.batch_size)
    encoded_held_out = encode_images(real, encoder, config.batch_size)
    encoded_training = None
    if chosen is not None:
        encoded_training = encode_images(chosen, encoder, config.batch_size)
    return evaluate_encoded(
        encoded_samples, encoded_held_out, encoder, config, training=encoded_training
    )


def evaluate_encoded(
    samples: EncodedImages,
    held_out: EncodedImages,
    encoder: Network,
    config: EvaluationConfig,
    *,
    training: EncodedImages | None = None,
) -> Metrics:
    """Measure samples from their features; arguments and errors as for `evaluate_images`.

    `NAME_std` is the standard error of the metric NAME from the number of samples; for KID and the
    Inception Score it is the spread over their parts.
    """
    least_samples = max(config.minimum_images, config.inception_score_splits)
    as_features("the samples", samples.features, least_samples)
    as_features("the held-out images", held_out.features, config.minimum_images)

    sets = FeatureSets(samples, held_out, config)
    values = compute_group("samples", sets, errors=True)
    values |= compute_group("distribution", sets, errors=True)
    num_training = None
    if training is not None:
        values |= copy_metrics(samples.features, held_out.features, training.features, config)
        num_training = len(training)

    return Metrics(
        values=values,
        num_samples=len(samples),
        num_held_out=len(held_out),
        num_training=num_training,
        encoder=encoder.name,
        encoder_sha256=encoder.weights_sha256,
        settings={**settings_record(config), "torch_fidelity": version("torch-fidelity")},
    )


def settings_record(config: EvaluationConfig) -> dict[str, Any]:
    """Return the settings of the metrics and their version as JSON values."""
    return {**config.model_dump(mode="json"), "metrics_version": METRICS_VERSION}


def further_metrics(
    samples: ArrayOrTensor, held_out: ArrayOrTensor, config: EvaluationConfig | None = None
) -> dict[str, float]:
    """Measure samples by the features of a further network.

    On DINOv2, frechet_distance is FD-DINOv2; on CLIP, cmmd is CMMD.

    Args:
        samples: [n, d], n > neighbours.
        held_out: [m, d] of the same network, m > neighbours.
        config: settings; None takes the defaults.

    Returns: the metrics of the groups distribution and network.
    Raises: InputError for invalid features or too few images.
    """
    sets = _two_sets("the samples", samples, held_out, config or EvaluationConfig())
    return compute_group("distribution", sets) | compute_group("network", sets)


def subset_quality(
    subset_features: ArrayOrTensor,
    held_out_features: ArrayOrTensor,
    config: EvaluationConfig | None = None,
) -> dict[str, float]:
    """Measure a subset of real images without training, as if its images were samples.

    Use features of an encoder that the selection did not see, and compare subsets of one size only.

    Args:
        subset_features: [n, d], n > neighbours.
        held_out_features: [m, d] of the same encoder, m > neighbours.
        config: settings; None takes the defaults.

    Returns: the metrics of the groups distribution and subset; num_images and num_held_out.
    Raises: InputError for invalid features or too few images.
    """
    sets = _two_sets("the subset", subset_features, held_out_features, config or EvaluationConfig())
    values = compute_group("distribution", sets) | compute_group("subset", sets)
    return {
        **rounded_values(values),
        "num_images": len(sets.samples),
        "num_held_out": len(sets.held_out),
    }


def copy_metrics(
    samples: ArrayOrTensor,
    held_out: ArrayOrTensor,
    training: ArrayOrTensor,
    config: EvaluationConfig,
) -> dict[str, float]:
    """Return the metrics that show whether samples copy the chosen images.

    Args:
        samples: [n, d] features.
        held_out: [m, d] features of images that no earlier stage has seen.
        training: [l, d] features of the chosen images.
        config: settings.

    Returns: the metrics of the group copying, and copy_set_size, the size of the compared sets.
    Raises: InputError for invalid features.
    """
    sets = FeatureSets(
        samples=EncodedImages(as_features("the samples", samples), None),
        held_out=EncodedImages(as_features("the held-out images", held_out), None),
        config=config,
        training=as_features("the chosen images", training),
    )
    values = compute_group("copying", sets, errors=True)
    return {**values, "copy_set_size": float(sets.copying.set_size)}


def compute_group(group: Group, sets: Any, *, errors: bool = False) -> dict[str, float]:
    """Return the values of all metrics of one group, without those that the sets cannot have.

    Args:
        group: group of the registry.
        sets: `FeatureSets`; `AdmSets` for the group adm, `DenoisingLosses` for denoising.
        errors: whether to add NAME_std for the metrics that have a standard error.
    """
    values: dict[str, float] = {}
    for metric in metrics_of(group).values():
        value = metric.compute(sets)
        if value is None:
            continue
        values[metric.name] = value
        error = metric.compute_error(sets) if errors else None
        if error is not None:
            values[metric.error_name] = error
    return values


def rounded_values(values: Mapping[str, float]) -> dict[str, float]:
    """Return values to 9 significant digits, as they are stored."""
    return {name: float(f"{value:.{SIGNIFICANT_DIGITS}g}") for name, value in values.items()}


def _two_sets(
    name: str, features: ArrayOrTensor, held_out: ArrayOrTensor, config: EvaluationConfig
) -> FeatureSets:
    one = as_features(name, features, config.minimum_images)
    two = as_features("the held-out images", held_out, config.minimum_images)
    return FeatureSets(EncodedImages(one, None), EncodedImages(two, None), config)


def _check_same_shape(*sets: UInt8[Tensor, "_ _ _ _"] | None) -> None:
    shapes = {tuple(images.shape[1:]) for images in sets if images is not None}
    if len(shapes) > 1:
        raise InputError(
            "samples, held-out and chosen images must have one shape, "
            f"found {sorted(shapes)} (channels, height, width)"
        )
