"""Weights of the training images: the share of its class that each chosen image represents."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from otcondense.errors import InputError
from otcondense.store import Store, read_manifest


def manifest_weights(store: Store, manifest: str) -> Float[Tensor, " n"]:
    """Return the weight of each row of a manifest, float32, with mean 1 in each class.

    The shares that a class's images represent may add up to less than 1, since some images of the
    class may be left out. Weights with mean 1 leave the balance of the classes as it is.

    Raises: InputError if the weights of a class are no finite numbers >= 0 with a sum above 0.
    """
    columns = ["weight", "class_index", "class_name"]
    rows = read_manifest(store, manifest).select(columns)
    weights = rows.column("weight").to_numpy().astype(np.float64)
    labels = rows.column("class_index").to_numpy()
    for label in np.unique(labels):
        own = labels == label
        total = weights[own].sum()
        if not (np.isfinite(total) and total > 0 and weights[own].min() >= 0):
            name = rows.column("class_name")[int(own.argmax())].as_py()
            raise InputError(
                f"{store.path(manifest)} must have weights >= 0 with a sum above 0 in class "
                f"{name}, found a sum of {total:g} and a least weight of {weights[own].min():g}; "
                "select again, or set weighting=uniform"
            )
        weights[own] *= own.sum() / total
    return torch.from_numpy(weights.astype(np.float32))
