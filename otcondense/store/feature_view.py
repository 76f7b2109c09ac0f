"""The features that a selection sees: those of one encoder as stored, or scaled and joined.

Stored features stay as the encoder gave them. What is done to them happens when a class is read,
so that another way to see them needs no extraction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from otcondense.errors import MissingInputError
from otcondense.store.features import ClassFeatures, class_file, read_class_features
from otcondense.store.files import Store
from otcondense.unit_rows import unit_rows

VIEW_VERSION = 1
"""Counts changes of the scaled and joined features."""
MEDIAN_ROWS = 1024
"""Images whose pairs give the median of a class: half a million pairs, which takes under a second
for 1,000 features. The median of more would differ by about one percent, as a weight of that much
does; a larger class takes this many of its images, evenly spaced by id, so that the same class has
the same scale everywhere."""


@dataclass(frozen=True)
class FeaturePart:
    """The features of one encoder in a view."""

    directory: str
    """Of the features, in the run."""
    is_unit: bool = False
    """Whether each row is divided by its length."""
    weight: float = 1.0
    """Factor of its squared distances among those of several encoders, > 0."""


@dataclass(frozen=True)
class FeatureView:
    """One or several encoders of the same images. Logits and all else are those of the first.

    Several are joined: each is scaled so that the median of the squared distances between the
    images of a class is its weight, then their columns stand side by side. The squared distance of
    two images is thus the weighted sum of those of the encoders, each in units of its own median.
    """

    parts: tuple[FeaturePart, ...]

    @classmethod
    def of(cls, directory: str) -> "FeatureView":
        """Return the view of one directory of features, as they are stored."""
        return cls((FeaturePart(directory),))

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories of the features, that of the first encoder first."""
        return tuple(part.directory for part in self.parts)

    @property
    def first(self) -> str:
        """The directory of the features of the first encoder."""
        return self.parts[0].directory

    @property
    def rules(self) -> list[object]:
        """What is done to stored features, for fingerprints; nothing if they are taken as stored.

        Results from before there were views stay valid.
        """
        if len(self.parts) == 1 and not self.parts[0].is_unit:
            return []
        if len(self.parts) == 1:
            return [VIEW_VERSION, "unit rows"]
        return [VIEW_VERSION, *([part.is_unit, part.weight] for part in self.parts)]

    @property
    def name(self) -> str:
        """Name for dictionaries: the directory, or all directories and what is done to them."""
        return self.first if not self.rules else f"{' '.join(self.directories)} {self.rules}"

    def files(self, class_name: str) -> list[str]:
        """Return the names of the feature files of a class."""
        return [class_file(directory, class_name) for directory in self.directories]

    def is_there(self, store: Store, class_name: str) -> bool:
        """Tell whether the features of a class are stored, of every encoder."""
        return all(store.exists(file) for file in self.files(class_name))

    def read(self, store: Store, class_name: str) -> ClassFeatures:
        """Return the features of a class as the selection sees them.

        Raises: InputError if a file is damaged, or a row of zeros is to have unit length;
            MissingInputError if a file is missing, or the encoders have seen other images.
        """
        found = [read_class_features(store, part.directory, class_name) for part in self.parts]
        first = found[0]
        if not self.rules:
            return first
        for part, each in zip(self.parts, found, strict=True):
            if (each.image_ids, each.sha256) != (first.image_ids, first.sha256):
                name = class_file(part.directory, class_name)
                raise MissingInputError(
                    f"{store.path(name)} must hold the same {first.size} images as the features of "
                    f"the first encoder, found {each.size}, some of them others",
                    name,
                )
        features = [_seen(part, each) for part, each in zip(self.parts, found, strict=True)]
        if len(features) > 1:
            weights = [part.weight for part in self.parts]
            return replace(first, features=joined(features, weights))
        return replace(first, features=features[0])


def _seen(part: FeaturePart, found: ClassFeatures) -> Float32[np.ndarray, "n d"]:
    return unit_rows(found.features, found.image_ids) if part.is_unit else found.features


def joined(
    parts: Sequence[Float[np.ndarray, "n _"]], weights: Sequence[float]
) -> Float32[np.ndarray, "n d"]:
    """Return the features of several encoders for one class, side by side.

    The median of the squared distances of each part is its weight.

    Args:
        parts: features of the same images in the same order.
        weights: one for each part, > 0.
    """
    scaled = []
    for part, weight in zip(parts, weights, strict=True):
        # Rounded to float32, so that the last digits of a CPU's sums do not reach the features.
        factor = np.float32(np.sqrt(weight / median_squared_distance(part)))
        scaled.append(part.astype(np.float32) * factor)
    return np.concatenate(scaled, axis=1)


def median_squared_distance(features: Float[np.ndarray, "n d"]) -> float:
    """Return the median of the squared distances between the images of a class, > 0.

    Pairs of equal rows, as of copies, are left out; without any other pair, it is 1. A class of
    more than `MEDIAN_ROWS` images is measured on that many of them.
    """
    from scipy.spatial.distance import pdist

    rows = np.linspace(0, len(features) - 1, min(len(features), MEDIAN_ROWS)).round()
    distances = pdist(features[rows.astype(np.int64)].astype(np.float64), "sqeuclidean")
    apart = distances[distances > 0]
    return float(np.median(apart)) if len(apart) else 1.0
