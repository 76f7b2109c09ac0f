"""k-means, then the image nearest to each centre."""

from typing import ClassVar, final

import numpy as np
from jaxtyping import Float
from pydantic import Field

from otcondense.selection.base import Candidates, Selector, SelectorConfig
from otcondense.selection.nearest import Distances, first_minimum


class KMeansConfig(SelectorConfig):
    """Settings of k-means."""

    restarts: int = Field(default=3, ge=1)
    """Starts from different seedings, of which the one with the smallest inertia is kept."""
    max_iterations: int = Field(default=100, ge=1)
    """Upper limit on Lloyd iterations of a start."""


@final
class KMeansSelector(Selector):
    """Lloyd's iterations from k-means++ seedings, weighted; centres in order of falling mass take their nearest free image.

    `objective_` is the inertia: the weighted mean squared distance of the class to its nearest centre.

    Source: Arthur and Vassilvitskii, "k-means++: the advantages of careful seeding", SODA 2007.
    """

    Config: ClassVar[type[SelectorConfig]] = KMeansConfig
    config: KMeansConfig

    def _fit(self, candidates: Candidates, budget: int) -> None:
        distances = Distances(candidates.require("features", "k_means"))
        rng = np.random.default_rng(self.config.seed)
        runs = [
            self._lloyd(
                distances, candidates.mass, _seed_centres(distances, candidates.mass, budget, rng)
            )
            for _ in range(self.config.restarts)
        ]
        self.objective_, centres = min(runs, key=lambda run: run[0])
        away = distances.to_points(centres)
        mass = np.bincount(first_minimum(away), weights=candidates.mass, minlength=budget)
        chosen = np.zeros(candidates.size, dtype=bool)
        for centre in np.argsort(-mass, kind="stable").tolist():
            index = int(first_minimum(np.where(chosen, np.inf, away[:, centre])))
            chosen[index] = True
            self._record(index)
        self.indices_ = np.array([step["added"] for step in self.history_])

    def _lloyd(
        self, distances: Distances, mass: Float[np.ndarray, " n"], centres: Float[np.ndarray, "k d"]
    ) -> tuple[float, Float[np.ndarray, "k d"]]:
        """Move centres to the means of their images until no image changes hands; a centre without mass stays."""
        away = distances.to_points(centres)
        for _ in range(self.config.max_iterations):
            nearest = first_minimum(away)
            member = np.zeros_like(away)
            member[np.arange(len(away)), nearest] = mass
            weight = member.sum(axis=0)[:, None]
            centres = np.where(
                weight > 0, (member.T @ distances.rows) / np.where(weight > 0, weight, 1), centres
            )
            away = distances.to_points(centres)
            if (first_minimum(away) == nearest).all():
                break
        return float(mass @ away.min(axis=1)), centres


def _seed_centres(
    distances: Distances, mass: Float[np.ndarray, " n"], count: int, rng: np.random.Generator
) -> Float[np.ndarray, "k d"]:
    """Draw images with probability proportional to their mass times the squared distance to the nearest one drawn."""
    drawn, nearest = [int(rng.choice(len(mass), p=mass))], np.full(len(mass), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, distances.to(np.array(drawn[-1:]))[:, 0])
        chance = mass * nearest
        drawn.append(
            int(rng.choice(len(mass), p=chance / chance.sum() if chance.sum() > 0 else mass))
        )
    centres: Float[np.ndarray, "k d"] = distances.rows[drawn]
    return centres
