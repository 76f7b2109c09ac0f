"""The features that a selection sees: those of one encoder as stored, or scaled and joined.

Stored features stay as the encoder gave them. What is done to them happens when a class is read,
so that another way to see them needs no extraction.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32

from otcondense.errors import MissingInputError
from otcondense.store.features import (
    ClassFeatures,
    class_file,
    class_files,
    read_class_features,
    read_part,
)
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
    A class of several files is measured on the images of the first one.
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

    def files(self, store: Store, class_name: str) -> list[str]:
        """Return the names of the feature files of a class, of every encoder and part."""
        names: list[str] = []
        for directory in self.directories:
            names += class_files(store, directory, class_name)
        return names

    def is_there(self, store: Store, class_name: str) -> bool:
        """Tell whether the features of a class are stored, of every encoder and part."""
        return all(store.exists(file) for file in self.files(store, class_name))

    def read(self, store: Store, class_name: str) -> ClassFeatures:
        """Return the features of a class as the selection sees them, of all its parts.

        Raises: InputError if a file is damaged, or a row of zeros is to have unit length;
            MissingInputError if a file is missing, or the encoders have seen other images.
        """
        found = [read_class_features(store, part.directory, class_name) for part in self.parts]
        is_joined = len(self.parts) > 1
        is_parted = is_joined and len(class_files(store, self.first, class_name)) > 1
        return self._of(store, found, measure_first=is_parted)

    def read_part(self, store: Store, class_name: str, number: int) -> ClassFeatures:
        """Return the features of a part of a class as the selection sees them.

        All parts of a class see the same scale, so that their rows are those of `read`.

        Args:
            store: the run.
            class_name: the class.
            number: of the part, from 0; `class_files` tells how many there are.

        Raises: as `read`.
        """
        found = [read_part(store, part.directory, class_name, number) for part in self.parts]
        return self._of(store, found, measure_first=number > 0)

    def _of(
        self, store: Store, found: Sequence[ClassFeatures], *, measure_first: bool
    ) -> ClassFeatures:
        """Return features as the selection sees them.

        Args:
            store: the run.
            found: the same images by each encoder.
            measure_first: whether the scales are those of part 0 of the class, and not of the
                images given.
        """
        first = found[0]
        if not self.rules:
            return first
        self._check_same(store, found)
        features = [_seen(part, each) for part, each in zip(self.parts, found, strict=True)]
        if len(features) == 1:
            return replace(first, features=features[0])
        measured = features
        if measure_first:
            name = first.class_name
            of_part = [read_part(store, part.directory, name, 0) for part in self.parts]
            measured = [_seen(part, each) for part, each in zip(self.parts, of_part, strict=True)]
        weights = [part.weight for part in self.parts]
        return replace(first, features=joined(features, weights, measured))

    def _check_same(self, store: Store, found: Sequence[ClassFeatures]) -> None:
        """Check that all encoders have seen the same images.

        Raises: MissingInputError naming the file of the encoder that has not.
        """
        first = found[0]
        for part, each in zip(self.parts, found, strict=True):
            if (each.image_ids, each.sha256) != (first.image_ids, first.sha256):
                name = class_file(part.directory, first.class_name, first.part.number)
                raise MissingInputError(
                    f"{store.path(name)} must hold the same {first.size} images as the features of "
                    f"the first encoder, found {each.size}, some of them others",
                    name,
                )


def _seen(part: FeaturePart, found: ClassFeatures) -> Float32[np.ndarray, "n d"]:
    return unit_rows(found.features, found.image_ids) if part.is_unit else found.features


def joined(
    parts: Sequence[Float[np.ndarray, "n _"]],
    weights: Sequence[float],
    measured: Sequence[Float[np.ndarray, "m _"]] | None = None,
) -> Float32[np.ndarray, "n d"]:
    """Return the features of several encoders for one class, side by side.

    The median of the squared distances of each part is its weight.

    Args:
        parts: features of the same images in the same order.
        weights: one for each part, > 0.
        measured: features whose distances are measured; the parts themselves if it is None.
    """
    scaled = []
    for part, weight, rows in zip(parts, weights, measured or parts, strict=True):
        # Rounded to float32, so that the last digits of a CPU's sums do not reach the features.
        factor = np.float32(np.sqrt(weight / median_squared_distance(rows)))
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
