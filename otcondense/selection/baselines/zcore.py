"""ZCore: images that cover random planes of the features, without their neighbours."""

from collections.abc import Sequence
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Bool, Float, Int
from pydantic import Field

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.selector_config import SelectorConfig, included_first

NEIGHBOURS = 1000
"""Nearest images that are redundant to the covered one. Source: arXiv:2411.15349."""
TIE = 1e-12
"""Distances below this share of the largest are 0 up to rounding."""
BLOCK_VALUES = 1 << 18
"""Number of distances in a block of draws (2 MB)."""


class ZCoreConfig(SelectorConfig):
    """Parameters of ZCore."""

    draws_per_image: int = Field(default=100, ge=1)
    """Number of draws for each image of the class."""


@final
class ZCoreSelector(Selector):
    """Zero-shot coreset selection: the images with the highest coverage minus redundancy.

    A draw takes two random features and a point of their plane; each coordinate has the triangular
    law of the smallest value, the median and the largest value of the feature. The image nearest to
    the point (by the sum of absolute differences) gains 1. Its 1,000 nearest images in the plane,
    or all others of a smaller class, lose 1 together, in shares proportional to distance⁻⁴. No
    labels are used.

    The paper scores a whole unlabelled set with 10⁶ draws. In this project selectors see one class:
    the planes, the points and the redundancy are those of the class, and the budget is met in every
    class. The number of draws follows its size. Decided here: images at distance 0 from the covered
    one share the whole loss; ties go to the lower index; weights of the class are not used.
    `fit` needs `features`.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of the draws, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    draws_per_image : int, default 100
        Number of draws for each image of the class, >= 1.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, those with the highest score first.
    objective_ : float
        Nan: this method has no objective.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import ZCoreSelector
    >>> features = np.random.default_rng(0).normal(size=(40, 5))
    >>> ZCoreSelector(budget=3, seed=0).fit(features).indices_
    array([24, 33, 25])

    References
    ----------
    .. [1] Griffin, Marks and Corso, "Zero-shot coreset selection: efficient pruning for unlabeled
       data", arXiv:2411.15349.
    """

    Config: ClassVar[type[SelectorConfig]] = ZCoreConfig
    needs = frozenset({"features"})
    config: ZCoreConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        draws_per_image: int = 100,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.draws_per_image = draws_per_image
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        features = candidates.require("features", "zcore")
        rng = np.random.default_rng(self.config.seed)
        draws = self.config.draws_per_image * candidates.size
        planes = random_planes(rng, features.shape[1], draws)
        points = triangular_points(features, planes, rng.random(planes.shape))

        columns = np.ascontiguousarray(features.T)
        scores = np.zeros(candidates.size)
        block = max(1, BLOCK_VALUES // candidates.size)
        for start in range(0, draws, block):
            part = slice(start, start + block)
            scores += plane_scores(columns, planes[part], points[part])
        # Scores of equal images differ by rounding; the unit of a score is one draw.
        order = np.argsort(-np.rint(scores / (TIE * draws)), kind="stable")
        self.indices_ = included_first(self.config, order, budget)
        for index in self.indices_.tolist():
            self._record(index)


def random_planes(rng: np.random.Generator, width: int, draws: int) -> Int[np.ndarray, "draws 2"]:
    """Return two different features for each draw; the only one twice if there are not two."""
    first = rng.integers(width, size=draws)
    step = rng.integers(1, width, size=draws) if width > 1 else np.zeros(draws, dtype=np.int64)
    return np.stack([first, (first + step) % width], axis=1)


def triangular_points(
    features: Float[np.ndarray, "n d"],
    planes: Int[np.ndarray, "draws 2"],
    uniform: Float[np.ndarray, "draws 2"],
) -> Float[np.ndarray, "draws 2"]:
    """Return points with the triangular law of each feature, from uniform numbers in [0, 1).

    The law has the density of a triangle over smallest and largest value, with its peak at the
    median. A constant feature gives its value.
    """
    low, high = features.min(axis=0)[planes], features.max(axis=0)[planes]
    peak = np.median(features, axis=0)[planes]
    width = np.where(high > low, high - low, 1.0)
    rising = uniform < (peak - low) / width
    up = low + np.sqrt(uniform * width * (peak - low))
    down = high - np.sqrt((1 - uniform) * width * (high - peak))
    points: Float[np.ndarray, "draws 2"] = np.where(rising, up, down)
    return points


def plane_scores(
    columns: Float[np.ndarray, "d n"],
    planes: Int[np.ndarray, "draws 2"],
    points: Float[np.ndarray, "draws 2"],
) -> Float[np.ndarray, " n"]:
    """Return the coverage minus the redundancy of each image in a block of draws.

    Args:
        columns: the features, a row for each.
        planes: two features for each draw.
        points: point in the plane of each draw.
    """
    size = columns.shape[1]
    coordinates = columns[planes]  # [draws, 2, n]
    away = np.abs(coordinates - points[:, :, None]).sum(axis=1)
    covered = away.argmin(axis=1)
    gained = np.bincount(covered, minlength=size)
    if size == 1:
        return gained.astype(np.float64)
    middle = np.take_along_axis(coordinates, covered[:, None, None], axis=2)
    distance = np.abs(coordinates - middle).sum(axis=1)
    distance[np.arange(len(covered)), covered] = np.inf
    scores: Float[np.ndarray, " n"] = gained - redundancy(distance).sum(axis=0)
    return scores


def redundancy(distance: Float[np.ndarray, "draws n"]) -> Float[np.ndarray, "draws n"]:
    """Return the share of the loss of each image: 0 for the covered one, whose distance is inf.

    The shares are proportional to distance⁻⁴. Source: arXiv:2411.15349.
    """
    if distance.shape[1] > NEIGHBOURS + 1:
        farthest = np.partition(distance, NEIGHBOURS - 1, axis=1)[:, NEIGHBOURS - 1, None]
        distance = np.where(distance <= farthest, distance, np.inf)
    nearest = distance.min(axis=1, keepdims=True)
    finite = np.where(np.isfinite(distance), distance, 0)
    equal: Bool[np.ndarray, "draws n"] = distance <= TIE * finite.max(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.square(np.square(nearest / distance))
    share = np.where(equal.any(axis=1, keepdims=True), equal, share)
    shares: Float[np.ndarray, "draws n"] = share / share.sum(axis=1, keepdims=True)
    return shares
