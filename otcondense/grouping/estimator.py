"""Balanced k-means as an estimator of scikit-learn, for notebooks."""

from typing import Any, Literal

import numpy as np
from jaxtyping import Float32, Int
from pydantic import ValidationError

from otcondense.errors import InputError
from otcondense.grouping.config import MOST_IMAGES, GroupConfig
from otcondense.grouping.split import split_rows
from otcondense.selection.parameters import Parameters


class BalancedKMeans(Parameters):
    """k-means whose groups have a bounded size; the number of groups follows from it.

    Every row is in one group. No group has more than `most` rows, and none is empty; with more than
    `most` rows, none has fewer than an eighth of `most`. More than `most` equal rows become groups
    of equal rows, in their order. It is the way in which `otcondense group` splits what fits into
    the memory, and the result depends on the rows, their order and the parameters only.

    Parameters
    ----------
    most : int, default 2000
        Largest number of rows in a group, >= 2.
    seed : int, default 0
        Seed of the rows that centres are fitted to, >= 0.
    resamplings : int, default 0
        Times that centres are fitted again to as many rows from each cell, so that dense regions
        get fewer centres, from 0 to 20 [1]_.

    Attributes
    ----------
    labels_ : array of int, [n]
        Group of each row, from 0, in the order of the first rows.
    cluster_centers_ : array of float32, [g, d]
        Mean of each group.
    sizes_ : array of int, [g]
        Rows of each group.
    inertia_ : float
        Sum of the squared distances of the rows to the means of their groups.
    n_features_in_ : int
        Columns of the features.

    Raises
    ------
    InputError
        In `fit`, if a parameter is out of its range, or features are not finite numbers in rows
        and columns.

    Examples
    --------
    >>> import numpy as np
    >>> from otcondense.grouping import BalancedKMeans
    >>> features = np.random.default_rng(0).normal(size=(500, 8))
    >>> groups = BalancedKMeans(most=100).fit(features)
    >>> int(groups.sizes_.sum()), bool(groups.sizes_.max() <= 100)
    (500, True)

    References
    ----------
    .. [1] Vo et al., "Automatic Data Curation for Self-Supervised Learning: A Clustering-Based
       Approach", arXiv:2405.15613.
    """

    labels_: Int[np.ndarray, " n"]
    cluster_centers_: Float32[np.ndarray, "g d"]
    sizes_: Int[np.ndarray, " g"]
    inertia_: float
    n_features_in_: int

    def __init__(self, most: int = MOST_IMAGES, *, seed: int = 0, resamplings: int = 0) -> None:
        self.most = most
        self.seed = seed
        self.resamplings = resamplings

    # The names X and y are scikit-learn's.
    def fit(self, X: Any, y: None = None) -> "BalancedKMeans":  # noqa: ARG002
        """Group rows.

        Parameters
        ----------
        X : array of numbers, [n, d]
            Features.
        y : None
            Not used.
        """
        rows = _numbers(X)
        found = split_rows(rows, self._config())
        sums = np.zeros((len(found.sizes), rows.shape[1]))
        np.add.at(sums, found.labels, rows)
        means = sums / found.sizes[:, None]
        self.labels_ = found.labels
        self.sizes_ = found.sizes
        self.cluster_centers_ = means.astype(np.float32)
        self.inertia_ = float(np.square(rows - means[found.labels]).sum())
        self.n_features_in_ = rows.shape[1]
        return self

    def fit_predict(self, X: Any, y: None = None) -> Int[np.ndarray, " n"]:
        """Group rows and return the group of each."""
        return self.fit(X, y).labels_

    def _config(self) -> GroupConfig:
        labels: Literal["ignore"] = "ignore"
        try:
            return GroupConfig(
                most=self.most, seed=self.seed, resamplings=self.resamplings, labels=labels
            )
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"]))
            raise InputError(
                f"{name} of BalancedKMeans must be within its range: {first['msg']}, "
                f"found {first['input']!r}"
            ) from error


def _numbers(features: Any) -> Float32[np.ndarray, "n d"]:
    """Return features as float32.

    Raises: InputError if they are no rows and columns of numbers.
    """
    try:
        rows = np.ascontiguousarray(np.asarray(features), dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise InputError(f"features to group must be an array of numbers: {error}") from error
    if np.asarray(features).ndim != 2:
        raise InputError(
            "features to group must be rows and columns, found an array of shape "
            f"{np.asarray(features).shape}"
        )
    return rows
