"""Classifiers that are worse than chance: their outputs are probably in another order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from otcondense.store import Store, class_files, read_columns

COLUMN = "cross_entropy"
ROUNDING = 1e-4
"""Share by which a mean may be above chance: that of a constant classifier is chance itself."""


@dataclass(frozen=True)
class WorseThanChance:
    """Classes whose images a classifier finds less likely than a guess would."""

    names: list[str]
    chance: float
    """Cross-entropy of a guess: log(number of classes), in nats."""
    largest: float
    """Largest mean cross-entropy of a class, in nats."""


def worse_than_chance(
    store: Store, directory: str, class_names: Sequence[str], num_classes: int
) -> WorseThanChance | None:
    """Return the classes whose mean cross-entropy is above log(num_classes).

    Args:
        store: the run.
        directory: of features, or of confidences.
        class_names: the classes to look at.
        num_classes: classes of the classifier.

    Returns: None if there are none, or the table has no cross-entropies.
    """
    chance = math.log(max(1, num_classes))
    means: dict[str, float] = {}
    for name in class_names:
        files = class_files(store, directory, name)
        parts = [read_columns(store, file, [COLUMN]).column(0).to_numpy() for file in files]
        means[name] = float(np.mean(np.concatenate(parts)))
    worse = [name for name, mean in means.items() if mean > chance * (1 + ROUNDING)]
    return WorseThanChance(worse, chance, max(means.values())) if worse else None
