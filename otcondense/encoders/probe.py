"""Confidence for classes that no classifier knows, from linear probes on the features.

A probe that never saw an image judges it.
"""

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from scipy.optimize import minimize
from torch import Tensor

from otcondense.encoders.probe_config import ProbeConfig
from otcondense.errors import InputError
from otcondense.threads import one_thread

VALUE_TOLERANCE = 1e-10
"""Relative decrease of the loss at which L-BFGS stops."""
GRADIENT_TOLERANCE = 1e-6
"""Largest entry of the gradient at which L-BFGS stops."""


def assign_folds(
    sha256: list[str], labels: Int64[np.ndarray, " n"], folds: int
) -> Int64[np.ndarray, " n"]:
    """Return the fold of each image, 0 to folds - 1.

    Each fold has an equal share of each class. Images of equal content are in one fold. The folds
    depend only on content and classes, not on names or order.
    """
    fold_of: dict[str, int] = {}
    for label in np.unique(labels):
        contents = {sha256[row] for row in np.flatnonzero(labels == label)}
        fresh = sorted(contents - fold_of.keys())
        for rank, content in enumerate(fresh):
            fold_of[content] = (int(label) + rank) % folds
    return np.array([fold_of[content] for content in sha256], dtype=np.int64)


def cross_fitted_logits(
    features: Float32[np.ndarray, "n d"],
    labels: Int64[np.ndarray, " n"],
    fold: Int64[np.ndarray, " n"],
    config: ProbeConfig,
) -> Float32[np.ndarray, "n c"]:
    """Return the logits of each image by multinomial logistic regression on the other folds.

    c is the largest label + 1. Features are standardised by the images of the fit. The same input
    gives the same bits for any number of threads. If all images of a class are in one fold, their
    probe does not know the class and gives them a large cross-entropy.

    Raises: InputError if there are fewer than two classes.
    """
    if len(np.unique(labels)) < 2:
        raise InputError(
            "a probe needs at least two classes, found one; set confidence.kind=none and beta=0"
        )
    num_classes = int(labels.max()) + 1
    logits = np.zeros((len(labels), num_classes), dtype=np.float32)
    with one_thread():
        for number in np.unique(fold):
            held = fold == number
            if held.all():
                raise InputError(
                    "a probe needs images of different content in at least two folds, "
                    "found copies of one image"
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
    """Return the weights that minimise mean cross-entropy + l2/2 |weights|^2, a convex problem."""
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
        "ftol": VALUE_TOLERANCE,
        "gtol": GRADIENT_TOLERANCE,
    }
    found = minimize(value_and_gradient, start, jac=True, method="L-BFGS-B", options=options)
    return torch.from_numpy(found.x).view(d, num_classes)


def _standardised(
    fitted: Float[np.ndarray, "m d"], judged: Float[np.ndarray, "k d"]
) -> tuple[Float64[Tensor, "m e"], Float64[Tensor, "k e"]]:
    """Return both sets scaled by mean and deviation of the first, with a constant column."""
    mean = fitted.mean(0, dtype=np.float64)
    deviation = fitted.std(0, dtype=np.float64)
    scale = np.where(deviation > 0, deviation, 1)

    def scaled(rows: np.ndarray) -> Tensor:
        bias = np.ones((len(rows), 1))
        return torch.from_numpy(np.concatenate([(rows - mean) / scale, bias], axis=1))

    return scaled(fitted), scaled(judged)
