import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from otcondense.encoders import EncoderConfig, InputSpec, load_encoder, weights_sha256
from otcondense.errors import InputError

NAMES = ["test_resnet", "test_byobnet", "test_vit"]


@pytest.fixture(scope="module")
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (50, 37, 3), dtype=np.uint8))


def saved(folder, name="test_resnet", **settings):
    config = EncoderConfig(
        **{
            "name": name,
            "num_classes": 6,
            "image_size": 32 if name != "test_vit" else None,
            "device": "cpu",
            "batch_size": 4,
        }
        | settings
    )
    torch.manual_seed(0)
    model = timm.create_model(
        name, pretrained=False, num_classes=config.num_classes, in_chans=config.in_chans
    ).eval()
    path = folder / f"{name}.safetensors"
    save_file(model.state_dict(), path)
    return config.model_copy(update={"weights": str(path)}), model


@pytest.mark.parametrize("name", NAMES)
def test_one_pass_gives_what_timm_gives_in_two(name, tmp_path):
    config, model = saved(tmp_path, name)
    encoder = load_encoder(config)
    images = torch.randn(4, 3, encoder.spec.height, encoder.spec.width)
    features, logits = encoder(images)
    with torch.inference_mode():
        torch.testing.assert_close(logits, model(images))
        torch.testing.assert_close(
            features, model.forward_head(model.forward_features(images), pre_logits=True)
        )
    assert features.shape == (4, model.num_features)


def test_without_a_classifier_there_are_no_logits(tmp_path):
    config, _ = saved(tmp_path, num_classes=0)
    output = load_encoder(config)(torch.zeros(2, 3, 32, 32))
    assert output.logits is None
    assert output.features.shape == (2, 96)


def test_bfloat16_gives_close_features_in_float32(tmp_path):
    config, _ = saved(tmp_path)
    rounded = config.model_copy(update={"precision": "bfloat16"})
    shape = load_encoder(config).spec.shape
    inputs = torch.randint(0, 256, (4, *shape), dtype=torch.uint8)
    exact, found = (load_encoder(each).encode_inputs(inputs) for each in (config, rounded))
    assert found.features.dtype == found.logits.dtype == torch.float32
    assert not torch.equal(found.features, exact.features)
    assert (found.features - exact.features).norm() < 0.05 * exact.features.norm()
    assert rounded.identity() != config.identity()


@pytest.mark.parametrize(
    "name", [*NAMES, "resnet50", "vit_base_patch14_dinov2", "inception_v3", "test_nfnet"]
)
def test_transform_is_timms_own_up_to_two_levels(name, picture):
    spec = EncoderConfig(name=name).input_spec()
    reference = create_transform(
        **timm.data.resolve_data_config({}, pretrained_cfg=timm.get_pretrained_cfg(name).to_dict()),
        is_training=False,
    )
    ours = spec.normalize(spec.pixels(picture)[None])[0]
    deviation = torch.tensor(spec.std).view(-1, 1, 1)
    levels = 255 * (ours - reference(picture)) * deviation
    assert levels.abs().max() < 2.5
    assert levels.abs().mean() < 0.02


def test_size_and_crop_can_be_set(picture):
    spec = InputSpec.of_model("test_resnet", image_size=24, channels=1, crop_pct=1.0)
    square = Image.new("L", (24, 24), 128)
    square.putpixel((0, 0), 255)
    assert spec.pixels(square).shape == (1, 24, 24)
    assert spec.pixels(square)[0, 0, 0] == 255
    assert spec.normalize(spec.pixels(square)[None]).max() == 1


def test_grey_models_take_the_mean_over_the_colours():
    spec = EncoderConfig(name="resnet50", in_chans=1).input_spec()
    model = timm.create_model("resnet50", pretrained=False)
    assert spec.mean == pytest.approx([np.mean(resolve_model_data_config(model)["mean"])])


def test_pixels_take_the_way_of_files_whatever_the_batch(tmp_path, picture):
    config, _ = saved(tmp_path)
    encoder = load_encoder(config)
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)
    alone = encoder.encode_pixels(pixels[None])
    many = encoder.encode_pixels(torch.stack([pixels] * 7))
    assert torch.equal(many.features, alone.features.expand(7, -1))
    inputs = torch.zeros(4, 3, 32, 32, dtype=torch.uint8)
    inputs[0] = encoder.spec.pixels(picture)
    assert torch.equal(alone.logits[0], encoder.encode_inputs(inputs).logits[0])


@pytest.mark.parametrize(("channels", "in_chans"), [(1, 3), (3, 1)])
def test_grey_and_colour_samples_are_converted(tmp_path, channels, in_chans):
    config, _ = saved(tmp_path, in_chans=in_chans)
    grey = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    encoder = load_encoder(config)
    torch.testing.assert_close(
        encoder.encode_pixels(grey.expand(2, channels, 8, 8)).features,
        encoder.encode_pixels(grey).features,
    )


def test_weights_hash_follows_the_file(tmp_path):
    config, _ = saved(tmp_path)
    before = weights_sha256(config)
    assert before == weights_sha256(config)
    saved(tmp_path, num_classes=5)
    assert weights_sha256(config) != before


def test_identity_leaves_out_where_it_runs(tmp_path):
    config, _ = saved(tmp_path)
    elsewhere = config.model_copy(
        update={"device": "cuda", "weights": f"/elsewhere/{config.name}.safetensors"}
    )
    assert config.identity() == elsewhere.identity()
    assert config.identity() != config.model_copy(update={"image_size": 64}).identity()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "dinov3"}, "nearest names: dinov3-b16, .*vit_base_patch16_dinov3"),
        ({"name": "resnet5O"}, "no model called 'resnet5O'; nearest names: .*resnet50"),
        ({"weights": "weights.pth"}, r"must be a \.safetensors file"),
        ({"weights": "absent.safetensors"}, "found nothing there"),
        (
            {"num_classes": 7},
            "do not fit test_resnet with in_chans=3 and num_classes=7: 2 of .* tensors differ: "
            r"fc\.weight \(expected 7x\d+, found 6x\d+\), .*; the file has 6 classes: correct num",
        ),
        ({"name": "facebook/dinov2-base"}, "write transformers:NAME for a model of"),
        (
            {"name": "test_vit"},
            "do not fit test_vit .* and .* more; the file is of another network",
        ),
        ({"weights": None}, "pretrained test_resnet has 1000 classes, expected num_classes=6"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, change, message):
    config, _ = saved(tmp_path)
    with pytest.raises(InputError, match=f"(?s){message}"):
        load_encoder(config.model_copy(update=change))


def test_a_damaged_weights_file_is_named(tmp_path):
    config, _ = saved(tmp_path)
    (tmp_path / "test_resnet.safetensors").write_bytes(b"not weights")
    with pytest.raises(InputError, match=r"test_resnet.safetensors must be a whole"):
        load_encoder(config)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkpoint_with_a_classifier_gives_features_alone(tmp_path, name):
    config, _ = saved(tmp_path, name)
    whole, headless = (
        load_encoder(config),
        load_encoder(config.model_copy(update={"num_classes": 0})),
    )
    inputs = torch.randint(0, 256, (4, *whole.spec.shape), dtype=torch.uint8)
    assert torch.equal(
        whole.encode_inputs(inputs).features, headless.encode_inputs(inputs).features
    )
