"""The sets of the study: features to choose by, features of other networks to judge by."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

SOURCE, HELD, LABELS = "source_", "held_", "labels"
COMPONENTS = 64
"""Principal components that the classifier sees: enough for ten classes, and seconds of work."""
FOLDS = 5
"""Parts of the source; each is judged by a classifier of the others."""
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Judge:
    """The features of one network that chose nothing."""

    name: str
    source: Float[np.ndarray, "n d"]
    held: Float[np.ndarray, "m d"]


@dataclass(frozen=True)
class StudySet:
    """Images to choose from, and what to judge a choice by."""

    features: Float[np.ndarray, "n d"]
    labels: Int[np.ndarray, " n"]
    entropy: Float[np.ndarray, " n"]
    """Cross-entropy of the true class, nats, of a classifier that did not train on the image."""
    held_labels: Int[np.ndarray, " m"]
    judges: tuple[Judge, ...]

    @property
    def classes(self) -> list[int]:
        """Class indices in ascending order."""
        return sorted(set(self.labels.tolist()))

    def parts(self, count: int, seed: int = 0) -> Iterator[dict[int, Int[np.ndarray, " r"]]]:
        """Yield disjoint random parts of the source: for each class the rows of its images."""
        generator = np.random.default_rng(seed)
        cut: dict[int, list[np.ndarray]] = {}
        for label in self.classes:
            rows = generator.permutation(np.flatnonzero(self.labels == label))
            cut[label] = [np.sort(part) for part in np.array_split(rows, count)]
        for number in range(count):
            yield {label: parts[number] for label, parts in cut.items()}


def load_set(features: Path, judges: Path) -> StudySet:
    """Read a set from two files of arrays.

    Args:
        features: `features` [n, d] and `labels` [n] of the source.
        judges: `source_NAME` [n, e] and `held_NAME` [m, e] for each judge, and `held_labels` [m].
    """
    chosen_by = np.load(features)
    seen = np.load(judges)
    names = [key.removeprefix(HELD) for key in seen.files if key.startswith(HELD)]
    names.remove(LABELS)
    labels = chosen_by[LABELS].astype(np.int64)
    return StudySet(
        features=_rows(chosen_by["features"]),
        labels=labels,
        entropy=_entropy(chosen_by["features"], labels),
        held_labels=seen[HELD + LABELS].astype(np.int64),
        judges=tuple(
            Judge(each, _rows(seen[SOURCE + each]), _rows(seen[HELD + each]))
            for each in sorted(names)
        ),
    )


def _rows(values: np.ndarray) -> Float[np.ndarray, "n d"]:
    return values.reshape(len(values), -1).astype(np.float64)


def _entropy(features: np.ndarray, labels: np.ndarray) -> Float[np.ndarray, " n"]:
    """Return the cross-entropy of each image under a classifier of the other folds."""
    rows = _rows(features)
    count = min(COMPONENTS, rows.shape[1], len(rows) - 1)
    points = PCA(count, whiten=True, random_state=0).fit_transform(rows)
    model = LogisticRegression(max_iter=200)
    found = cross_val_predict(model, points, labels, cv=FOLDS, method="predict_proba")
    columns = np.searchsorted(np.unique(labels), labels)
    own = found[np.arange(len(labels)), columns]
    entropy: Float[np.ndarray, " n"] = -np.log(np.maximum(own, LEAST_PROBABILITY))
    return entropy
