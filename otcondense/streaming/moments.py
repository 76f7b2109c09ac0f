"""Moments and extent of all images that have arrived, in one pass."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from otcondense.streaming.rows import StreamRows

ROUNDING = 1e-9
"""Share by which distances are raised, so that rounding does not lower a bound."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Count, mean and variance, and two bodies that hold every image: a box and a ball.

    Source of the update: T. Chan, G. Golub and R. LeVeque, Algorithms for computing the sample
    variance, The American Statistician 37 (1983), eq. 2.1.
    """

    count: int
    mean: Float64[np.ndarray, " d"]
    squares: Float64[np.ndarray, " d"]
    """Sum of the squared deviations from the mean."""
    low: Float64[np.ndarray, " d"]
    high: Float64[np.ndarray, " d"]
    centre: Float64[np.ndarray, " d"]
    """Centre of the ball: the mean of the first block."""
    radius: float

    @classmethod
    def of(cls, rows: StreamRows) -> "Moments":
        """Return the moments of at least one image."""
        values = rows.features.astype(np.float64)
        mean = values.mean(axis=0)
        squares = np.square(values - mean).sum(axis=0)
        radius = float(np.sqrt(np.square(values - mean).sum(axis=1).max()))
        low, high = values.min(axis=0), values.max(axis=0)
        return cls(len(values), mean, squares, low, high, mean, radius)

    def merged(self, other: "Moments") -> "Moments":
        """Return the moments of both sets of images; the ball keeps this centre."""
        count = self.count + other.count
        difference = other.mean - self.mean
        share = other.count / count
        apart = float(np.linalg.norm(other.centre - self.centre))
        return Moments(
            count,
            self.mean + share * difference,
            self.squares + other.squares + np.square(difference) * (self.count * share),
            np.minimum(self.low, other.low),
            np.maximum(self.high, other.high),
            self.centre,
            max(self.radius, apart + other.radius),
        )

    def with_rows(self, rows: StreamRows) -> "Moments":
        """Return the moments of these images and further ones."""
        new = Moments.of(rows)
        values = rows.features.astype(np.float64) - self.centre
        new_radius = float(np.sqrt(np.square(values).sum(axis=1).max()))
        both = self.merged(new)
        radius = max(self.radius, new_radius)
        return Moments(
            both.count, both.mean, both.squares, both.low, both.high, both.centre, radius
        )

    @property
    def deviation(self) -> Float64[np.ndarray, " d"]:
        """Unbiased standard deviations; 0 for a single image."""
        deviation: np.ndarray = np.sqrt(self.squares / max(1, self.count - 1))
        return deviation

    def largest_cost(self, features: Float[np.ndarray, "k d"]) -> float:
        """Return a bound on the squared distance of these rows to any image that has arrived."""
        values = features.astype(np.float64)
        to_box = np.maximum(np.abs(values - self.low), np.abs(values - self.high))
        box = np.square(to_box).sum(axis=1)
        ball = np.square(np.linalg.norm(values - self.centre, axis=1) + self.radius)
        return float(np.minimum(box, ball).max()) * (1 + ROUNDING)
