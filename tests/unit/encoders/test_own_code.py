"""Encoders that are functions of the user: imported by name, called without arguments."""

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.encoders.arithmetic import encoder_size
from otcondense.errors import InputError

CODE = """
import torch

calls = []

def network():
    calls.append(1)
    return torch.nn.Sequential(torch.nn.AvgPool2d(8), torch.nn.Flatten(), torch.nn.Linear(48, 5))

def half():
    return network().bfloat16().float()

def function():
    return lambda batch: batch.mean((2, 3))

def maps():
    return lambda batch: batch

def broken():
    return lambda batch: batch.mean((2, 3)) / 0

def fewer():
    return lambda batch: batch.mean((2, 3))[:1]

def contrast():
    return lambda batch: batch.mean((2, 3)) / batch.std((2, 3))

def nothing():
    return None

def fails():
    raise RuntimeError("no network here")

number = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"own_{abs(hash(str(tmp_path)))}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    return name


def encoder_of(name: str, **settings: Any) -> EncoderConfig:
    values = {"name": name, "image_size": 32, "device": "cpu", "batch_size": 2, **settings}
    return EncoderConfig.model_validate(values)


def test_a_module_is_loaded_with_the_digest_of_its_weights(module: str) -> None:
    config = encoder_of(f"{module}:network")
    encoder = load_encoder(config)
    images = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8)
    found = encoder.encode_pixels(images)
    assert (found.features.shape, found.logits) == ((3, 5), None)
    assert weights_sha256(config) == weights_sha256(config)
    assert (encoder_size(config).width, encoder_size(config).parameters) == (5, 245)
    network = encoder.model._compute
    normalised = encoder.spec.normalize(torch.stack([encoder._input(each) for each in images]))
    torch.testing.assert_close(found.features, network(normalised))  # type: ignore[operator]


def test_a_function_needs_a_version_and_is_told_by_it(module: str) -> None:
    with pytest.raises(InputError, match="set version"):
        load_encoder(encoder_of(f"{module}:function"))
    first, second = (encoder_of(f"{module}:function", version=each) for each in (1, "2"))
    assert load_encoder(first).encode_pixels(
        torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    ).features.shape == (1, 3)
    assert first.version == "1"
    assert first.identity() != second.identity()
    assert "version" not in encoder_of(f"{module}:network").identity()


@pytest.mark.parametrize(
    ("function", "said"),
    [
        ("maps", r"\[batch, d\], found shape \(2, 3, 32, 32\)"),
        ("fewer", r"one row of features for each image, found shape \(1, 3\) for 2 images"),
        ("broken", "finite features"),
        ("nothing", "found NoneType"),
        ("fails", "RuntimeError: no network here"),
        ("number", "must be a function, found int"),
        ("missing", "found none"),
    ],
)
def test_what_is_no_encoder_is_refused(module: str, function: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_encoder(encoder_of(f"{module}:{function}", version="1")).encode_pixels(
            torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
        )


def test_its_arithmetic_is_counted_on_an_image_of_numbers(module: str) -> None:
    torch.use_deterministic_algorithms(True)  # memory that nothing has written holds NaN
    try:
        assert encoder_size(encoder_of(f"{module}:contrast", version="1")).width == 3
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize(
    "settings",
    [
        {"name": "resnet50", "version": "1"},
        {"name": "resnet50", "pooling": "mean"},
        {"name": "a.b:c", "weights": "w.safetensors"},
        {"name": "a.b:c", "num_classes": 10},
        {"name": "transformers:some/model", "in_chans": 1},
        {"name": "transformers:some/model", "version": "1"},
    ],
)
def test_settings_of_other_origins_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"leave|must be 3"):
        EncoderConfig.model_validate(settings)
