"""The Inception network of FID: features, logits without bias, and spatial features for sFID."""

import hashlib
import threading
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from otcondense.errors import InputError
from otcondense.fetched import fetch_weights, read_tensors

SPATIAL_CHANNELS = 7
"""First channels of a map that ADM's evaluator takes as spatial features."""
LONGEST_REASON = 300
"""Characters of another library's message that an error repeats."""


class InceptionOutput(NamedTuple):
    """Outputs of one forward pass."""

    features: Float[Tensor, "b 2048"]
    logits: Float[Tensor, "b 1008"]
    """Of the classifier without its bias, as in TensorFlow's own evaluation."""
    spatial: Float[Tensor, "b 2023"]
    """First 7 channels of the 1x1 branch of the third 17x17 block (mixed_6/conv), height by width
    by channel."""


class Inception:
    """torch-fidelity's port of the 2015 TensorFlow network, with its resize and scaling.

    Grey images are expanded to RGB. Several threads may call it at once.

    Args:
        weights: local file of torch-fidelity's weights
            (weights-inception-2015-12-05-6726825d.pth); None fetches it.
        device: torch device, or auto for a GPU if there is one.

    Raises: InputError if the weights are missing or do not fit.
    Source of the features: Heusel et al. 2017 (arXiv:1706.08500); of the spatial features: Nash et
        al. 2021 (arXiv:2103.03841), section 4.
    """

    name = "inception-v3-compat"

    def __init__(self, weights: str | None = None, device: str = "auto") -> None:
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        self.device = torch.device(device)
        self._network = _load(weights).to(self.device)
        self._kept = threading.local()
        self._network.get_submodule("Mixed_6d.branch1x1").register_forward_hook(self._keep)
        self.weights_sha256 = _sha256(self._network)

    @torch.inference_mode()
    def __call__(self, images: UInt8[Tensor, "b c h w"], /) -> InceptionOutput:
        """Return features, logits and spatial features of 8-bit images of any size."""
        rgb = images.expand(-1, 3, -1, -1).to(self.device)
        names: Any = self._network.features_list
        found = dict(zip(names, self._network(rgb), strict=True))
        spatial = self._kept.maps[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        return InceptionOutput(found["2048"], found["logits_unbiased"], spatial)

    def _keep(self, _module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        self._kept.maps = output


def _load(weights: str | None) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import (
        URL_INCEPTION_V3,
        FeatureExtractorInceptionV3,
    )

    if weights is not None and not Path(weights).is_file():
        raise InputError(
            f"weights of Inception must be a file, found nothing at {weights}; "
            "run `otcondense prefetch` or correct the path"
        )
    path = fetch_weights(URL_INCEPTION_V3) if weights is None else Path(weights)
    # torch-fidelity would unpickle anything: refuse files that hold more than tensors.
    read_tensors(path)
    try:
        network: nn.Module = FeatureExtractorInceptionV3(
            "otcondense", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
        )
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:LONGEST_REASON]
        raise InputError(f"the weights of Inception {path} cannot be used: {reason}") from error
    return network


def _sha256(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
