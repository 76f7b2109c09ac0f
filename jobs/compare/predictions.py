"""How well metrics of the subset itself predict the results of training."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.compare.config import PREDICTORS, direction_of
from jobs.compare.results import Row
from jobs.trials.config import VARIANT
from otcondense.evaluation.registry import sign

LEAST_VARIANTS = 4
"""Fewest variants of a correlation; fewer say nothing."""


@dataclass(frozen=True)
class Prediction:
    """How well a metric of the subset itself predicts the order of the variants after training."""

    subset_metric: str
    num_images: int
    guidance: float
    step: int
    correlation: float
    """Spearman's, over the means of the variants; 1 if both order the variants in the same way."""
    num_variants: int


def predictions(rows: Sequence[Row], metric: str) -> list[Prediction]:
    """Return how well each metric of the subset itself predicts `metric` after training.

    There is one result for each number of images, guidance and training length with enough
    variants.
    """
    places: dict[tuple[int, float, int], dict[str, list[Row]]] = {}
    for row in rows:
        if metric in row:
            place = (row["num_images"], row["guidance"], row["step"])
            places.setdefault(place, {}).setdefault(row[VARIANT], []).append(row)

    found = []
    for place, variants in sorted(places.items(), key=lambda item: item[0]):
        if len(variants) < LEAST_VARIANTS:
            continue
        names = set(PREDICTORS)
        for row in itertools.chain.from_iterable(variants.values()):
            names &= row.keys()  # trials of older versions lack newer metrics
        for predictor in sorted(names):
            correlation = _correlation(list(variants.values()), predictor, metric)
            if not math.isnan(correlation):
                found.append(Prediction(predictor, *place, correlation, len(variants)))
    return found


def _correlation(variants: Sequence[Sequence[Row]], predictor: str, metric: str) -> float:
    from scipy.stats import spearmanr

    before = [_goodness(rows, predictor) for rows in variants]
    after = [_goodness(rows, metric) for rows in variants]
    return float(spearmanr(before, after).statistic)


def _goodness(rows: Sequence[Row], metric: str) -> float:
    """Return the mean of a metric, with the sign that makes larger values better."""
    mean: float = sum(row[metric] for row in rows) / len(rows)
    return -sign(direction_of(metric)) * mean
