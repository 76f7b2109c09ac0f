import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from jobs.command.settings import load_config
from jobs.requirements.weights import needs
from otcondense.encoders import EncoderConfig, load_encoder, weights_sha256
from otcondense.encoders.arithmetic import encoder_size
from pipeline.judges import JudgeConfig

PIXELS = {"name": "pixels", "image_size": 8, "device": "cpu"}
RANDOM = {"name": "test_resnet", "weights": "random", "image_size": 32, "device": "cpu"}
IMAGES = torch.randint(0, 256, (3, 1, 8, 8), dtype=torch.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_their_own_features(channels):
    encoder = load_encoder(EncoderConfig(**PIXELS, in_chans=channels))
    features, logits = encoder.encode_pixels(IMAGES)
    assert torch.equal(features, IMAGES.expand(-1, channels, -1, -1).flatten(1) / 255)
    assert logits is None


def test_pixels_of_other_sizes_are_resized():
    encoder = load_encoder(EncoderConfig(**PIXELS, in_chans=1))
    large = IMAGES.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    features = encoder.encode_pixels(large).features
    assert features.shape == (3, 64)
    assert features.mean() == pytest.approx(float(large.float().mean()) / 255, abs=0.02)
    square = encoder.spec.pixels(Image.new("L", (40, 20), 200))
    assert torch.equal(square, torch.full((1, 8, 8), 200, dtype=torch.uint8))


def test_random_weights_depend_on_their_seed_alone():
    one, two = (EncoderConfig(**RANDOM, weights_seed=seed) for seed in (0, 1))
    state = torch.random.get_rng_state()
    first = load_encoder(one).encode_pixels(IMAGES).features
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(7)
    assert torch.equal(load_encoder(one).encode_pixels(IMAGES).features, first)
    assert not torch.allclose(load_encoder(two).encode_pixels(IMAGES).features, first)
    assert first.std(dim=0).max() > 0
    assert weights_sha256(one) == weights_sha256(one) != weights_sha256(two)


@pytest.mark.parametrize("settings", [PIXELS, RANDOM], ids=["pixels", "random"])
def test_networks_without_training_judge_and_need_no_weights(settings):
    config = EncoderConfig(**settings)
    assert config.classes() == 0
    seeded = config.model_copy(update={"weights_seed": 3})
    assert encoder_size(config) == encoder_size(seeded)
    assert (encoder_size(config).flops > 0, encoder_size(config).classes) == (True, 0)
    judge = JudgeConfig.of(config, 4)
    network = judge.load()
    assert network.weights_sha256 == judge.weights_sha256
    assert torch.equal(network(IMAGES)[0], load_encoder(config).encode_pixels(IMAGES).features)
    overrides = ["source.path=x", "confidence={kind: none}"]
    for place in ("encoder", "judge", "judges.extra"):
        text = ", ".join(f"{key}: {value}" for key, value in settings.items())
        overrides.append(f"{place}={{{text}}}")
    assert needs(load_config("jobs/configs/my-folder.yaml", overrides)) == []


def test_the_seed_is_in_no_other_identity():
    assert "weights_seed" not in EncoderConfig().identity()
    assert "weights_seed" not in EncoderConfig(weights="w.safetensors").identity()
    seeded = EncoderConfig(**RANDOM, weights_seed=3).identity()
    assert (seeded["weights"], seeded["weights_seed"]) == ("random", 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({**PIXELS, "weights": "w.safetensors"}, "pixels have no weights"),
        ({**PIXELS, "weights": "random"}, "pixels have no weights"),
        ({**PIXELS, "num_classes": 10}, "num_classes must be 0"),
        ({**RANDOM, "num_classes": 10}, "num_classes must be 0"),
        ({**RANDOM, "train": {}}, "train must be null"),
        ({"name": "test_resnet", "weights_seed": 1}, "weights_seed needs weights=random"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        EncoderConfig(**settings)
