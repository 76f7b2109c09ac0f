"""Encoders from transformers: the library's own classes, with small random weights on disk."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModel, ViTConfig, ViTModel

from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.encoders.arithmetic import encoder_size
from otcondense.errors import InputError
from tests.generators.vision_models import KINDS, PROJECTED, SIDE, WIDTH, write_model

ONE_LEVEL = 1.01 / 255 / 0.22
"""One level of 8 bits, divided by the least deviation of any model here: the library resizes
DINOv3's images in float, and others with weights of other rounding."""


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {kind: write_model(folder, kind) for kind in KINDS}


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    """Waves of all colours; its short side becomes 40 pixels, its long side 60."""
    y, x = torch.meshgrid(torch.arange(100.0), torch.arange(150.0), indexing="ij")
    planes = [torch.sin(x / 9 + y / 5), torch.cos(x / 7), torch.sin(y / 11)]
    pixels = ((torch.stack(planes, -1) + 1) * 127).byte()
    return Image.fromarray(pixels.numpy())


def encoder_of(name: str, **settings: Any) -> EncoderConfig:
    return EncoderConfig.model_validate(
        {"name": name, "device": "cpu", "batch_size": 2, **settings}
    )


@pytest.mark.parametrize("kind", KINDS)
def test_images_are_prepared_as_by_the_model_s_own_processor(
    names: dict[str, str], photo: Image.Image, kind: str
) -> None:
    spec = encoder_of(names[kind]).input_spec()
    found = spec.normalize(spec.pixels(photo)[None])
    folder = names[kind].partition(":")[2]
    processor = AutoImageProcessor.from_pretrained(folder)  # type: ignore[no-untyped-call]
    expected = processor(photo, return_tensors="pt")["pixel_values"]
    assert found.shape == expected.shape == (1, 3, SIDE, SIDE)
    assert (found - expected).abs().max() <= ONE_LEVEL


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_those_of_the_library(
    names: dict[str, str], photo: Image.Image, kind: str
) -> None:
    encoder = load_encoder(encoder_of(names[kind]))
    pixels = encoder.spec.pixels(photo)[None]
    model = AutoModel.from_pretrained(names[kind].partition(":")[2]).eval()
    inputs = encoder.spec.normalize(pixels)
    with torch.inference_mode():
        if kind.startswith("clip"):
            expected = _projected(model, encoder.model.net, inputs)
        else:
            expected = getattr(model, "vision_model", model)(inputs).pooler_output
    found = encoder.encode_inputs(pixels)
    assert found.logits is None
    assert found.features.shape == (1, PROJECTED if kind.startswith("clip") else WIDTH)
    torch.testing.assert_close(found.features, expected, atol=1e-5, rtol=1e-5)
    size = encoder_size(encoder_of(names[kind]))
    assert (size.width, size.classes) == (found.features.shape[1], 0)
    assert size.parameters == sum(each.numel() for each in encoder.model.parameters())


def _projected(model: Any, net: Any, inputs: torch.Tensor) -> torch.Tensor:
    tower = getattr(model, "vision_model", model)
    projection: torch.Tensor = net.visual_projection(tower(inputs).pooler_output)
    return projection


@pytest.mark.parametrize(("kind", "prefix"), [("dinov2", 1), ("dinov3", 5), ("siglip", 0)])
def test_the_mean_is_that_of_the_patches(
    names: dict[str, str], photo: Image.Image, kind: str, prefix: int
) -> None:
    encoder = load_encoder(encoder_of(names[kind], pooling="mean"))
    pixels = encoder.spec.pixels(photo)[None]
    network: Any = encoder.model.net
    tokens = network(encoder.spec.normalize(pixels)).last_hidden_state
    assert tokens.shape[1] == 16 + prefix
    found = encoder.encode_inputs(pixels).features
    torch.testing.assert_close(found, tokens[:, prefix:].mean(1), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "pooling", "said"),
    [
        ("siglip", "cls", "pooling=cls needs a class token"),
        ("dinov2", "projected", "pooling=projected needs a projection"),
    ],
)
def test_a_pooling_that_a_model_lacks_is_refused(
    names: dict[str, str], kind: str, pooling: str, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        load_encoder(encoder_of(names[kind], pooling=pooling))


def test_every_network_takes_other_sizes(names: dict[str, str]) -> None:
    for name in names.values():
        encoder = load_encoder(encoder_of(name, image_size=2 * SIDE))
        assert (
            encoder.encode_pixels(torch.zeros(1, 3, 9, 9, dtype=torch.uint8))
            .features.isfinite()
            .all()
        )


def test_the_digest_is_of_weights_and_of_the_way_images_are_prepared(tmp_path: Path) -> None:
    name = write_model(tmp_path, "dinov2")
    digest = weights_sha256(encoder_of(name))
    random = encoder_of(name, weights="random", weights_seed=1)
    assert weights_sha256(random) == weights_sha256(random) != digest
    (tmp_path / "dinov2").rename(tmp_path / "other")
    other = f"transformers:{tmp_path / 'other'}"
    assert weights_sha256(encoder_of(other)) == digest
    (tmp_path / "other").rename(tmp_path / "third")
    settings = tmp_path / "third" / "preprocessor_config.json"
    values = json.loads(settings.read_text())
    settings.write_text(json.dumps({**values, "image_mean": [0.1, 0.2, 0.3]}))
    assert weights_sha256(encoder_of(f"transformers:{tmp_path / 'third'}")) != digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"do_pad": True}, "do_pad=True"),
        ({"do_resize": False}, "do_resize=False"),
        ({"rescale_factor": 0.5}, "rescale_factor=0.5"),
        ({"resample": 0}, "interpolation bilinear or bicubic, found 'nearest'"),
        ({"size": {"longest_edge": 40}}, "a short side and then"),
        ({"crop_size": {"height": 32, "width": 16}}, "square crops"),
    ],
)
def test_a_preparation_without_counterpart_is_refused(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    name = write_model(tmp_path, "clip")
    settings = tmp_path / "clip" / "preprocessor_config.json"
    settings.write_text(json.dumps({**json.loads(settings.read_text()), **changes}))
    with pytest.raises(InputError, match=said):
        encoder_of(name).input_spec()


def test_other_models_and_missing_weights_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a folder with config\.json"):
        load_encoder(encoder_of(f"transformers:{tmp_path}"))
    name = write_model(tmp_path, "dinov2")
    (tmp_path / "dinov2" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="safetensors weights, found none that can be loaded"):
        load_encoder(encoder_of(name))
    sizes: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    ViTModel(ViTConfig(**sizes, intermediate_size=32, image_size=32)).save_pretrained(
        tmp_path / "dinov2"
    )
    with pytest.raises(InputError, match=r"must be one of dinov2, .* found vit; .* your own"):
        load_encoder(encoder_of(name))


def test_weights_that_do_not_fill_the_network_are_refused(tmp_path: Path) -> None:
    name = write_model(tmp_path, "clip_vision")
    settings = tmp_path / "clip_vision" / "config.json"
    values = json.loads(settings.read_text())
    settings.write_text(json.dumps({**values, "num_hidden_layers": 3}))
    with pytest.raises(InputError, match="must fill CLIPVisionModel"):
        load_encoder(encoder_of(name))
