"""Confidence for classes that no classifier knows: a linear probe on the features, each image judged by a probe that never saw it."""

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from pydantic import Field
from scipy.optimize import minimize
from torch import Tensor

from otcondense.config import Config
from otcondense.errors import InputError
from otcondense.threads import one_thread


class ProbeConfig(Config):
    """A cross-fitted linear probe."""

    folds: int = Field(default=5, ge=2, le=100)
    """Parts of the images; each part is judged by a probe that was fitted on the others."""
    l2: float = Field(default=0.01, gt=0)
    """Penalty on the squared weights (half of it times the sum), beside the mean cross-entropy; larger is less sure of itself."""
    max_iterations: int = Field(default=200, ge=1)
    """L-BFGS steps of each fit; fewer suffice where it converges before."""


def assign_folds(
    sha256: list[str], labels: Int64[np.ndarray, " n"], folds: int
) -> Int64[np.ndarray, " n"]:
    """Return the fold of each image, 0 to folds - 1: equal shares of each class, images of equal content in one fold.

    It depends on the images' content and classes alone, not on names or order.
    """
    fold_of: dict[str, int] = {}
    for label in np.unique(labels):
        fresh = sorted({sha256[row] for row in np.flatnonzero(labels == label)} - fold_of.keys())
        fold_of |= {content: (int(label) + rank) % folds for rank, content in enumerate(fresh)}
    return np.array([fold_of[content] for content in sha256], dtype=np.int64)


def cross_fitted_logits(
    features: Float32[np.ndarray, "n d"],
    labels: Int64[np.ndarray, " n"],
    fold: Int64[np.ndarray, " n"],
    config: ProbeConfig,
) -> Float32[np.ndarray, "n c"]:
    """Return the logits of each image by multinomial logistic regression fitted on the other folds; c is the largest label + 1.

    Features are standardised by the images of the fit. The same input gives the same bits for any number of threads. A class
    whose images all lie in one fold is unknown to the probe that judges them, which gives them a large cross-entropy.

    Raises: InputError if there are fewer than two classes.
    """
    if len(np.unique(labels)) < 2:
        raise InputError(
            "a probe needs at least two classes to tell apart, found one; set confidence.kind=none, and beta to 0"
        )
    num_classes = int(labels.max()) + 1
    logits = np.zeros((len(labels), num_classes), dtype=np.float32)
    with one_thread():
        for number in np.unique(fold):
            held = fold == number
            if held.all():
                raise InputError(
                    "a probe needs images of different content in at least two folds, found copies of one image"
                )
            inputs, judged = _standardised(features[~held], features[held])
            weights = fit_softmax(inputs, torch.from_numpy(labels[~held]), num_classes, config)
            logits[held] = (judged @ weights).float().numpy()
    return logits


def fit_softmax(
    inputs: Float64[Tensor, "n d"],
    labels: Int64[Tensor, " n"],
    num_classes: int,
    config: ProbeConfig,
) -> Float64[Tensor, "d c"]:
    """Return the weights of least mean cross-entropy + l2/2 |weights|^2, a strictly convex problem."""
    n, d = inputs.shape
    rows = torch.arange(n)

    def value_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = torch.from_numpy(flat).view(d, num_classes)
        log_p = (inputs @ weights).log_softmax(1)
        loss = -log_p[rows, labels].mean() + config.l2 / 2 * weights.square().sum()
        residual = log_p.exp_()
        residual[rows, labels] -= 1
        gradient = inputs.T @ residual / n + config.l2 * weights
        return float(loss), gradient.numpy().ravel()

    start = np.zeros(d * num_classes)
    options = {
        "maxiter": config.max_iterations,
        "maxfun": 2 * config.max_iterations,
        "ftol": 1e-10,
        "gtol": 1e-6,
    }
    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x).view(d, num_classes)


def _standardised(
    fitted: Float[np.ndarray, "m d"], judged: Float[np.ndarray, "k d"]
) -> tuple[Float64[Tensor, "m e"], Float64[Tensor, "k e"]]:
    """Return both sets scaled by mean and deviation of the first, with a constant column for the bias."""
    mean, deviation = fitted.mean(0, dtype=np.float64), fitted.std(0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1)

    def scaled(rows: np.ndarray) -> Tensor:
        return torch.from_numpy(
            np.concatenate([(rows - mean) / scale, np.ones((len(rows), 1))], axis=1)
        )

    return scaled(fitted), scaled(judged)
