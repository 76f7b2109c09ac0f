"""k-means, then the image nearest to each centre."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, final

import numpy as np
from jaxtyping import Float
from pydantic import Field

from otcondense.selection.base import Selector
from otcondense.selection.candidates import Candidates
from otcondense.selection.nearest import Distances, first_minimum, mean_gains
from otcondense.selection.selector_config import SelectorConfig, barred_images


class KMeansConfig(SelectorConfig):
    """Parameters of k-means."""

    restarts: int = Field(default=3, ge=1)
    """Number of runs from different seedings; the one with the smallest inertia is kept."""
    max_iterations: int = Field(default=100, ge=1)
    """Upper limit on the Lloyd iterations of a run."""


@dataclass(frozen=True)
class _Clustering:
    """Result of one run."""

    inertia: float
    centres: Float[np.ndarray, "k d"]


@final
class KMeansSelector(Selector):
    """Weighted k-means; each centre takes its nearest free image, in order of decreasing mass.

    Lloyd's iterations start from k-means++ seedings. `fit` needs `features`.

    Parameters
    ----------
    budget : int, default 10
        Number of images to choose, >= 1.
    seed : int, default 0
        Seed of the seedings, >= 0.
    small_class : {"error", "take_all"}, default "error"
        "error" refuses a class with fewer images than the budget, "take_all" takes all of it.
    include : sequence of int, default ()
        Indices of images that must be chosen; they come first.
    exclude : sequence of int, default ()
        Indices of images that must not be chosen; they still count as part of the class.
    restarts : int, default 3
        Number of runs from different seedings, >= 1; the one with the smallest inertia is kept.
    max_iterations : int, default 100
        Upper limit on the Lloyd iterations of a run, >= 1.

    Attributes
    ----------
    indices_ : array of int, [budget]
        Chosen images, by decreasing mass of their centres.
    objective_ : float
        Inertia: weighted mean squared distance of the class to its nearest centre.
    gain_ : array of float, [budget]
        Increase of the inertia without the centre of the chosen image.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.selection import KMeansSelector
    >>> features = np.array([[0.0], [1.0], [2.0], [10.0], [11.0], [12.0], [13.0]])
    >>> KMeansSelector(budget=2).fit(features).indices_
    array([4, 1])

    References
    ----------
    .. [1] Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """

    Config: ClassVar[type[SelectorConfig]] = KMeansConfig
    needs = frozenset({"features"})
    config: KMeansConfig

    def __init__(
        self,
        budget: int = 10,
        *,
        seed: int = 0,
        small_class: Literal["error", "take_all"] = "error",
        include: Sequence[int] = (),
        exclude: Sequence[int] = (),
        restarts: int = 3,
        max_iterations: int = 100,
    ) -> None:
        super().__init__(
            budget, seed=seed, small_class=small_class, include=include, exclude=exclude
        )
        self.restarts = restarts
        self.max_iterations = max_iterations
        self._check()

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = Distances(candidates.require("features", "k_means"))
        best = self._best_run(distances, candidates.mass, budget)
        self.objective_ = best.inertia

        away = distances.to_points(best.centres)
        mass = np.bincount(first_minimum(away), weights=candidates.mass, minlength=budget)
        fixed = len(self.config.include)
        barred = barred_images(self.config, candidates.size)
        order = list(self.config.include)
        centres = np.argsort(-mass[fixed:], kind="stable") + fixed
        for centre in centres.tolist():
            index = int(first_minimum(np.where(barred, np.inf, away[:, centre])))
            order.append(index)
            barred[index] = True
        for index in order:
            self._record(index)
        self.indices_ = np.array(order)
        self.gain_ = mean_gains(away, candidates.mass)[[*range(fixed), *centres.tolist()]]

    def _best_run(
        self, distances: Distances, mass: Float[np.ndarray, " n"], count: int
    ) -> _Clustering:
        rng = np.random.default_rng(self.config.seed)
        runs = []
        for _ in range(self.config.restarts):
            centres = _seed_centres(distances, mass, count, rng, self.config.include)
            runs.append(self._lloyd(distances, mass, centres))
        return min(runs, key=lambda run: run.inertia)

    def _lloyd(
        self, distances: Distances, mass: Float[np.ndarray, " n"], centres: Float[np.ndarray, "k d"]
    ) -> _Clustering:
        """Move the centres to the means of their images until no image changes its centre.

        Included images are centres that stay, and so does a centre without mass.
        """
        fixed = np.arange(len(centres))[:, None] < len(self.config.include)
        away = distances.to_points(centres)
        for _ in range(self.config.max_iterations):
            nearest = first_minimum(away)
            member = np.zeros_like(away)
            member[np.arange(len(away)), nearest] = mass

            weight = member.sum(axis=0)[:, None]
            occupied = (weight > 0) & ~fixed
            means = (member.T @ distances.rows) / np.where(weight > 0, weight, 1)
            centres = np.where(occupied, means, centres)

            away = distances.to_points(centres)
            if (first_minimum(away) == nearest).all():
                break
        return _Clustering(float(mass @ away.min(axis=1)), centres)


def _seed_centres(
    distances: Distances,
    mass: Float[np.ndarray, " n"],
    count: int,
    rng: np.random.Generator,
    included: tuple[int, ...],
) -> Float[np.ndarray, "k d"]:
    """Take the included images and draw others as centres.

    The probability is proportional to the mass times the squared distance to the nearest centre.
    """
    drawn = list(included) or [int(rng.choice(len(mass), p=mass))]
    nearest = distances.to(np.array(drawn)).min(axis=1)
    while len(drawn) < count:
        chance = mass * nearest
        probability = chance / chance.sum() if chance.sum() > 0 else mass
        drawn.append(int(rng.choice(len(mass), p=probability)))
        nearest = np.minimum(nearest, distances.to(np.array(drawn[-1:]))[:, 0])
    centres: Float[np.ndarray, "k d"] = distances.rows[drawn]
    return centres
