"""Two directions of features that show most, for maps of one class and of all classes."""

import numpy as np
from jaxtyping import Float

SMALL = 32
"""Matrices with at most this many rows or columns get all their singular values."""


def principal_plane(
    features: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " 2"]]:
    """Project features on the two directions of largest variance.

    Returns: the projections, with fixed signs, and the shares of the variance.
    """
    centred = np.asarray(features, dtype=np.float64) - features.mean(axis=0)
    return projected(centred, principal_directions(centred))


def class_plane(
    features: Float[np.ndarray, "n d"], means: Float[np.ndarray, "c d"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " 2"]]:
    """Project features on the two directions in which the means of the classes differ most.

    With fewer than three classes there are no two such directions; then the directions are those
    of largest variance of the features.

    Args:
        features: of some images of all classes.
        means: of each class.

    Returns: the projections, with fixed signs, and the shares of the variance of `features`.
    """
    if len(means) < 3:
        return principal_plane(features)
    centre = means.mean(axis=0)
    directions = principal_directions(np.asarray(means - centre, dtype=np.float64))
    return projected(np.asarray(features - centre, dtype=np.float64), directions)


def principal_directions(centred: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "2 _"]:
    """Return the two directions of largest variance of centred rows; the largest entry is positive.

    Missing rows or columns count as zeros.
    """
    padded = _padded(centred)
    directions = _two_largest(padded)
    largest = directions[np.arange(2), np.abs(directions).argmax(axis=1)]
    signed: Float[np.ndarray, "2 _"] = directions * np.sign(largest)[:, None]
    return signed


def projected(
    centred: Float[np.ndarray, "n d"], directions: Float[np.ndarray, "2 _"]
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, " 2"]]:
    """Return the coordinates of centred rows in two directions, and the shares of the variance."""
    points = _padded(centred)[: len(centred)] @ directions.T
    total = float((centred**2).sum())
    shares = (points**2).sum(axis=0) / total if total > 0 else np.zeros(2)
    return points, shares


def _padded(centred: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "_ _"]:
    rows, columns = centred.shape
    return np.pad(centred, ((0, max(0, 2 - rows)), (0, max(0, 2 - columns))))


def _two_largest(matrix: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "2 d"]:
    """Return the right singular vectors of the two largest singular values, the largest first."""
    if min(matrix.shape) <= SMALL or not matrix.any():
        return np.linalg.svd(matrix, full_matrices=False)[2][:2]
    from scipy.sparse.linalg import svds

    # For a class of ImageNet all singular values take a second, the first two a tenth of that.
    # A fixed start gives a fixed result; single precision is far finer than a screen.
    start = np.ones(min(matrix.shape), dtype=np.float32)
    _, _, directions = svds(matrix.astype(np.float32), k=2, v0=start, return_singular_vectors="vh")
    largest: Float[np.ndarray, "2 d"] = directions[::-1]
    return largest
