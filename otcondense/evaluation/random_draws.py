"""A subset against random subsets of the same sizes, through one network and without training."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int

from otcondense.errors import InputError
from otcondense.evaluation.checks import as_features
from otcondense.evaluation.encoding import EncodedImages
from otcondense.evaluation.evaluation_config import EvaluationConfig
from otcondense.evaluation.figures import FeatureSets
from otcondense.evaluation.metrics import rounded_values
from otcondense.evaluation.registry import METRICS


@dataclass(frozen=True)
class ClassRows:
    """The images of one class, and which of them are chosen."""

    features: Float[np.ndarray, "n d"]
    """Of a network that the selection did not see."""
    chosen: Int[np.ndarray, " k"]
    """Rows of the chosen images."""
    candidates: Int[np.ndarray, " c"]
    """Rows that could be chosen; random subsets are drawn from them."""


@dataclass(frozen=True)
class DrawnFigures:
    """Metrics by name of a subset, and of each random draw."""

    values: dict[str, float]
    draws: dict[str, list[float]]


def compare_with_draws(
    classes: Sequence[ClassRows],
    held_out: Float[np.ndarray, "m d"],
    num_draws: int,
    config: EvaluationConfig,
    metrics: Sequence[str],
    on_draw: Callable[[], None] = lambda: None,
) -> DrawnFigures:
    """Measure a subset and random subsets with as many images of each class.

    A draw depends on `config.seed`, its number and the place of the class alone.

    Args:
        classes: of the source.
        held_out: features of held-out images through the same network.
        num_draws: random subsets, >= 1.
        config: settings of the metrics.
        metrics: names in `METRICS`.
        on_draw: called after each draw.

    Raises: InputError for invalid features or too few images.
    """
    if num_draws < 1:
        raise InputError(f"num_draws must be at least 1, found {num_draws}")
    least = config.minimum_images
    subset = as_features("the subset", _rows(classes, [each.chosen for each in classes]), least)
    others = as_features("the held-out images", held_out, least)
    sets = FeatureSets(EncodedImages(subset, None), EncodedImages(others, None), config)
    values = _values(sets, metrics)
    drawn: dict[str, list[float]] = {name: [] for name in values}
    for features in _draws(classes, num_draws, config.seed):
        encoded = EncodedImages(torch.from_numpy(features), None)
        for name, value in _values(sets.with_samples(encoded), metrics).items():
            drawn[name].append(value)
        on_draw()
    return DrawnFigures(values, drawn)


def _values(sets: FeatureSets, metrics: Sequence[str]) -> dict[str, float]:
    found = {name: METRICS[name].compute(sets) for name in metrics}
    return rounded_values({name: value for name, value in found.items() if value is not None})


def _draws(
    classes: Sequence[ClassRows], num_draws: int, seed: int
) -> Iterator[Float[np.ndarray, "k d"]]:
    for draw in range(num_draws):
        rows = []
        for place, each in enumerate(classes):
            generator = np.random.default_rng([seed, draw, place])
            rows.append(generator.choice(each.candidates, len(each.chosen), replace=False))
        yield _rows(classes, rows)


def _rows(
    classes: Sequence[ClassRows], rows: Sequence[Int[np.ndarray, " _"]]
) -> Float[np.ndarray, "k d"]:
    parts = zip(classes, rows, strict=True)
    return np.concatenate([each.features[chosen] for each, chosen in parts])
