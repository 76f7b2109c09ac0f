"""Images to choose from, with what is known about each, and held-out images to judge by."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Float, Float32, Int

from otcondense.encoders import (
    MarginConfig,
    ProbeConfig,
    area_under_margin,
    assign_folds,
    cross_fitted_logits,
)

COMMON = "common"
RARE = "rare"
"""A mode of the class with few images, which a subset should have."""
OUTLIER = "outlier"
"""Not an image of the class, or one whose label is in doubt: a subset should have none."""


@dataclass(frozen=True)
class Pool:
    """The images of one repeat: as the methods see them, and as the judge does."""

    name: str
    """Of the set."""
    encoder: str
    """The network that the methods choose by."""
    kinds: np.ndarray
    """`COMMON`, `RARE` or `OUTLIER` for each image to choose from."""
    labels: Int[np.ndarray, " n"]
    features: Float32[np.ndarray, "n d"]
    """Of the encoder."""
    logits: Float32[np.ndarray, "n c"]
    """For the confidences: of the encoder's classifier, or of a probe."""
    margins: Float[np.ndarray, " n"]
    """Area under the margin."""
    judged: Float32[np.ndarray, "n e"]
    """Features of the judge, which no method sees."""
    held_out_kinds: np.ndarray
    held_out: Float32[np.ndarray, "m e"]
    """Features of the judge of the held-out images, which have no outliers."""


class ImageSet(Protocol):
    """A set whose repeats differ in the images, in what is held out, or in both."""

    @property
    def name(self) -> str:
        """What the rows of the table call it."""

    def draw(self, repeat: int) -> list[Pool]:
        """Return the pools of one repeat, one for each encoder."""


def probed(
    features: Float32[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]
) -> Float32[np.ndarray, "n c"]:
    """Return the logits of a probe that did not see the image."""
    names = [str(row) for row in range(len(labels))]
    config = ProbeConfig()
    whole = labels.astype(np.int64)
    return cross_fitted_logits(features, whole, assign_folds(names, whole, config.folds), config)


def margins_of(
    features: Float32[np.ndarray, "n d"], labels: Int[np.ndarray, " n"]
) -> Float[np.ndarray, " n"]:
    """Return the area under the margin of each image."""
    classes = int(labels.max()) + 1
    found = area_under_margin(
        torch.from_numpy(features), torch.from_numpy(labels), classes, MarginConfig()
    )
    return np.asarray(found.numpy())
