"""The Inception network of FID: pool_3 features, logits without bias, and the spatial features of sFID."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from otcondense.errors import InputError
from otcondense.fetched import fetch_weights, read_tensors

SPATIAL_CHANNELS = 7


class InceptionOutput(NamedTuple):
    """What one forward pass gives."""

    features: Float[Tensor, "b 2048"]
    logits: Float[Tensor, "b 1008"]
    """Of the classifier without its bias, as TensorFlow's own evaluation takes them."""
    spatial: Float[Tensor, "b 2023"]
    """First 7 channels of the 1x1 branch of the third 17x17 block (mixed_6/conv), height by width by channel."""


class Inception:
    """torch-fidelity's port of the 2015 TensorFlow network, with its resize and scaling; grey images count as RGB.

    Args:
        weights: local file of torch-fidelity's weights (weights-inception-2015-12-05-6726825d.pth); None fetches it.
        device: torch device, or auto for a GPU where there is one.

    Raises: InputError if the weights are missing or do not fit.
    Source of the features: Heusel et al. 2017 (arXiv:1706.08500); of the spatial ones: Nash et al. 2021 (arXiv:2103.03841), section 4.
    """

    name = "inception-v3-compat"

    def __init__(self, weights: str | None = None, device: str = "auto") -> None:
        self.device = torch.device(
            ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        )
        self._network = _load(weights).to(self.device)
        self._spatial: Tensor | None = None
        self._network.get_submodule("Mixed_6d.branch1x1").register_forward_hook(self._keep)
        self.weights_sha256 = _sha256(self._network)

    @torch.inference_mode()
    def __call__(self, images: UInt8[Tensor, "b c h w"], /) -> InceptionOutput:
        """Return features, logits and spatial features of 8-bit images of any size."""
        rgb = images.expand(-1, 3, -1, -1).to(self.device)
        found = dict(zip(self._network.features_list, self._network(rgb), strict=True))  # type: ignore[arg-type]
        assert self._spatial is not None
        spatial = self._spatial[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        return InceptionOutput(found["2048"], found["logits_unbiased"], spatial)

    def _keep(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ARG002
        self._spatial = output


def _load(weights: str | None) -> nn.Module:
    from torch_fidelity.feature_extractor_inceptionv3 import (
        URL_INCEPTION_V3,
        FeatureExtractorInceptionV3,
    )

    if weights is not None and not Path(weights).is_file():
        raise InputError(
            f"weights of Inception must be a file, found nothing at {weights}; run `python -m jobs.prefetch` or correct the path"
        )
    path = fetch_weights(URL_INCEPTION_V3) if weights is None else Path(weights)
    read_tensors(path)  # torch-fidelity itself would unpickle anything
    try:
        network: nn.Module = FeatureExtractorInceptionV3(
            "otcondense", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(path)
        )
    except RuntimeError as error:
        raise InputError(
            f"the weights of Inception {path} cannot be used: {' '.join(str(error).split())[:300]}"
        ) from error
    return network


def _sha256(network: nn.Module) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(network.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
