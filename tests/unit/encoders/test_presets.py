import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import GoogLeNet_Weights, googlenet

import otcondense.encoders.encoder as encoder_module
from otcondense.encoders import EncoderConfig, load_encoder
from otcondense.encoders.presets import PRESETS
from otcondense.errors import InputError


@pytest.mark.parametrize(
    ("preset", "size", "classes", "black", "white"),
    [
        ("inception-v3", 299, 1000, -1, 1),
        ("googlenet", 224, 1000, -1, 1),
        ("resnet-34", 224, 1000, -0.485 / 0.229, (1 - 0.485) / 0.229),
        ("resnet-50", 224, 1000, -0.485 / 0.229, (1 - 0.485) / 0.229),
        ("dinov2-b14", 224, 0, -0.485 / 0.229, (1 - 0.485) / 0.229),
        ("dinov2-l14", 224, 0, -0.485 / 0.229, (1 - 0.485) / 0.229),
        ("dinov3-b16", 256, 0, -0.485 / 0.229, (1 - 0.485) / 0.229),
        ("efficientnet-lite0", 224, 1000, -1, 1),
        ("efficientnet-lite1", 240, 1000, -1, 1),
        ("efficientnet-lite2", 260, 1000, -1, 1),
    ],
)
def test_presets_scale_their_inputs_as_in_training(preset, size, classes, black, white):
    config = EncoderConfig(name=preset)
    spec = config.input_spec()
    assert (spec.shape, config.classes()) == ((3, size, size), classes)
    for level, expected in ((0, black), (255, white)):
        pixels = spec.pixels(Image.new("RGB", (400, 300), (level,) * 3))
        assert spec.normalize(pixels[None])[0, 0].mean() == pytest.approx(expected, abs=1e-5)
    assert config.name != preset or preset == "googlenet"
    assert EncoderConfig(**config.model_dump()) == config


def test_settings_beside_a_preset_win():
    assert EncoderConfig(name="dinov2-b14", image_size=448).image_size == 448
    assert set(PRESETS) == {
        "inception-v3",
        "googlenet",
        "resnet-34",
        "resnet-50",
        "dinov2-b14",
        "dinov2-l14",
        "dinov3-b16",
        "clip-l14",
        "siglip2-b16",
        "efficientnet-lite0",
        "efficientnet-lite1",
        "efficientnet-lite2",
    }


@pytest.fixture(scope="module")
def reference():
    torch.manual_seed(0)
    with torch.no_grad():
        return googlenet(
            weights=None, aux_logits=False, transform_input=True, init_weights=False
        ).eval()


def test_googlenet_is_torchvisions(reference, tmp_path):
    """torchvision converts ImageNet's normalisation; ours takes its scaling directly."""
    save_file(reference.state_dict(), tmp_path / "googlenet.safetensors")
    config = EncoderConfig(
        name="googlenet",
        weights=str(tmp_path / "googlenet.safetensors"),
        device="cpu",
        image_size=64,
    )
    pixels = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    mean, std = (
        GoogLeNet_Weights.IMAGENET1K_V1.transforms().mean,
        GoogLeNet_Weights.IMAGENET1K_V1.transforms().std,
    )
    normalised = (pixels / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    found = load_encoder(config).encode_inputs(pixels)
    torch.testing.assert_close(found.logits, reference(normalised), rtol=1e-3, atol=1e-4)
    assert found.features.shape == (2, 1024)
    features = load_encoder(config.model_copy(update={"num_classes": 0})).encode_inputs(pixels)
    assert features.logits is None
    assert torch.equal(features.features, found.features)


def test_a_model_without_a_network_says_what_to_do(monkeypatch):
    def offline(*_, **__):
        raise FileNotFoundError("cannot find the requested files\nin the local cache")

    monkeypatch.setattr("timm.create_model", offline)
    message = r"of test_vit could not be fetched \(cannot find .* cache\); connect .* set `weights`"
    with pytest.raises(InputError, match=message):
        encoder_module.load_encoder(EncoderConfig(name="test_vit", device="cpu"))
