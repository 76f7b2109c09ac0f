"""Confidence of a classifier in each image, from its logits, computed in float64."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor


def cross_entropy(logits: Float[Tensor, "b c"], labels: Int64[Tensor, " b"]) -> Float[Tensor, " b"]:
    """Return -log p(label) of each image in nats, >= 0, as float32."""
    chosen: Tensor = log_probabilities(logits).gather(1, labels[:, None]).squeeze(1)
    return chosen.neg().clamp_min(0).float()


def entropy(logits: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Return the entropy of the predicted distribution in nats, between 0 and log c, as float32."""
    log_p = log_probabilities(logits)
    information: Tensor = torch.special.xlogy(log_p.exp(), log_p.exp())
    return information.sum(1).neg().float()


def max_prob(logits: Float[Tensor, "b c"]) -> Float[Tensor, " b"]:
    """Return the largest predicted probability, between 1/c and 1, as float32."""
    return log_probabilities(logits).amax(1).exp().float()


def log_probabilities(logits: Float[Tensor, "b c"]) -> Float[Tensor, "b c"]:
    """Return log softmax in float64, so that confident predictions do not round to 0."""
    return logits.double().log_softmax(1)
