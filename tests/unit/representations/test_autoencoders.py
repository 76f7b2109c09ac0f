"""Each class of diffusers' autoencoders, small and with random weights, from images to samples."""

import json
import shutil
from dataclasses import replace
from math import prod
from pathlib import Path

import diffusers
import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from jobs.forecasts.networks import latent_size
from otcondense.datasets import SourceConfig, scan_images
from otcondense.diffusion import (
    ModelConfig,
    Moments,
    SamplerConfig,
    TrainingConfig,
    create_state,
    make_batch,
    sample_batch,
    train_step,
)
from otcondense.diffusion.input_shapes import latent_shape
from otcondense.diffusion.inputs import load_inputs
from otcondense.errors import InputError
from otcondense.representations import LatentConfig, LatentDecoder, LatentModel, autoencoder
from otcondense.representations.autoencoder import load_autoencoder
from otcondense.representations.image_model import tensors_sha256
from otcondense.store import Store, class_file, read_table, sha256_bytes
from pipeline.extraction_config import ExtractionConfig
from pipeline.represent import chosen_listing, extract_chosen, representation_work
from pipeline.work import Target
from tests.generators.latents import write_subset
from tests.generators.weights import AUTOENCODERS, write_autoencoder

SIDE = 16
SHAPES = {
    "AutoencoderKL": (4, 8, 8),
    "AutoencoderDC": (4, 8, 8),
    "AutoencoderRAE": (64, 4, 4),
    "AutoencoderTiny": (4, 8, 8),
    "VQModel": (3, 8, 8),
}
WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The folder of each class, by its name."""
    root = tmp_path_factory.mktemp("autoencoders")
    return {name: write_autoencoder(root / name, name) for name in AUTOENCODERS}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of images, and their crops."""
    root = tmp_path_factory.mktemp("images")
    (root / "a").mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), dtype=np.uint8)
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(root / "a" / f"{number}.png")
    return root, torch.from_numpy(pixels).permute(0, 3, 1, 2)


def settings(folder, **changes):
    return LatentConfig(
        **{"model": folder, "image_size": SIDE, "batch_size": 3, "device": "cpu", **changes}
    )


def encode(store: Store, root: Path, config: LatentConfig):
    """Write a manifest of all images and their latents; return the places of the inputs."""
    paths = sorted(root.glob("a/*.png"))
    rows = [(f"a/{path.name}", "a", 0, sha256_bytes(path.read_bytes())) for path in paths]
    inputs = write_subset(store, rows=rows)
    chosen = pa.table({"image_id": [row[0] for row in rows], "sha256": [row[3] for row in rows]})
    listing = chosen_listing(scan_images(SourceConfig(path=str(root))), chosen)
    target = Target(store, "encoded", listing, representation_work("latents", config, 10**6))
    extract_chosen(target, target.work, ExtractionConfig(num_encoders=0), lambda _done, _all: None)
    return replace(inputs, latents="encoded")


def reference(name, folder, pixels):
    """Return the latents of the library itself, and their image in [-1, 1]."""
    model = getattr(diffusers, name).from_pretrained(folder).eval()
    black_is_zero = name == "AutoencoderRAE"
    x = pixels.float() / 255 if black_is_zero else pixels.float() / 127.5 - 1
    with torch.no_grad():
        found = model.encode(x)
        if name == "AutoencoderKL":
            latents = found.latent_dist.mean
        else:
            latents = found.latent if hasattr(found, "latent") else found.latents
        image = model.decode(latents).sample
    return latents, image * 2 - 1 if black_is_zero else image


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_from_images_to_samples(name, models, images, tmp_path):
    root, pixels = images
    store = Store(str(tmp_path))
    inputs = encode(store, root, settings(models[name]))
    shape = latent_shape(store, inputs)
    assert shape == SHAPES[name]

    config = TrainingConfig(
        model=ModelConfig(name="SiT-demo/1", width=16, depth=1, num_heads=2),
        data="latents",
        flip=True,
        global_batch_size=4,
        num_steps=2,
        checkpoint_steps=(),
        num_workers=1,
    )
    data = load_inputs(store, inputs, config, "cpu")
    assert isinstance(data.source, Moments)
    latents, expected = reference(name, models[name], pixels)
    torch.testing.assert_close(data.source.mean[:, 0].float(), latents, atol=4e-3, rtol=2e-3)

    state = create_state(config, 1, shape)
    batches = [make_batch(config, step, data) for step in range(2)]
    drawn = [batch.draws.posterior is not None for batch in batches]
    assert drawn == [name == "AutoencoderKL"] * 2, "without a posterior there is nothing to draw"
    losses = [train_step(state, batch)["loss"] for batch in batches]
    assert all(torch.isfinite(loss) for loss in losses)

    decode = LatentDecoder(settings(models[name]))
    sampler = SamplerConfig(num_steps=2, num_samples=2, batch_size=2, clip=False)
    samples, _ = sample_batch(state.ema, "sit-linear", torch.arange(2), sampler, decode)
    assert samples.shape == (2, 3, SIDE, SIDE)
    scaled = (latents - data.source.shift) * data.source.scale
    torch.testing.assert_close(decode(scaled), expected, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_forecast_knows_the_latents_without_weights(name, models, tmp_path):
    shutil.copy(Path(models[name]) / "config.json", tmp_path)
    found = latent_size(settings(str(tmp_path)))
    assert found.latent_shape == SHAPES[name]
    assert found.arrays == (2 if name == "AutoencoderKL" else 1)
    assert min(found.encoder_flops, found.decoder_flops) > prod(SHAPES[name])
    assert found.convolutional == (name != "AutoencoderRAE")


@pytest.mark.parametrize("model", ["stabilityai/sd-vae-ft-ema", "somebody/else", "/nowhere/vae"])
def test_a_model_that_is_not_here_is_forecast_as_that_of_stable_diffusion(model):
    found = latent_size(LatentConfig(model=model, image_size=512))
    assert (found.latent_shape, found.arrays) == ((4, 64, 64), 2)


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_a_deviation_is_stored_only_with_a_posterior(name, models, images, tmp_path):
    store = Store(str(tmp_path))
    encode(store, images[0], settings(models[name]))
    columns = read_table(store, class_file("encoded", "a")).column_names
    assert ("std" in columns) == (name == "AutoencoderKL")
    assert "mean" in columns


@pytest.mark.parametrize("name", AUTOENCODERS)
def test_the_digest_of_a_model_covers_its_settings(name, models, tmp_path):
    """AutoencoderKL's is of its weights alone, as of runs from before there were others."""
    library = getattr(diffusers, name)
    model = library.from_pretrained(models[name])
    changed = library.from_config({**model.config, "scaling_factor": 0.75})
    changed.load_state_dict(model.state_dict())
    changed.save_pretrained(tmp_path)
    before, after = (load_autoencoder(each).sha256 for each in (models[name], str(tmp_path)))
    assert (before == tensors_sha256(model)) == (name == "AutoencoderKL")
    assert (before == after) == (name == "AutoencoderKL")


def test_the_identity_of_the_default_model_is_what_it_was():
    assert LatentConfig().identity() == {
        "model": "sd-vae-ft-ema",
        "image_size": 256,
        "mirror": True,
        "batch_size": 16,
        "decoding": 2,
    }


def test_a_representation_autoencoder_scales_its_latents_itself(models, tmp_path):
    model = LatentModel(settings(models["AutoencoderRAE"]))
    assert model.facts == {"scaling_factor": 1.0, "shift_factor": 0.0}
    folder = write_autoencoder(tmp_path / "rae", "AutoencoderRAE", scaling_factor=0.5)
    pixels = torch.full((1, 3, SIDE, SIDE), 200, dtype=torch.uint8)
    halved = LatentModel(settings(folder))
    assert halved.facts == model.facts
    torch.testing.assert_close(
        halved(pixels)["mean"] * 2, model(pixels)["mean"], atol=2e-3, rtol=2e-3
    )


def test_weights_under_the_names_of_earlier_versions_are_taken(models, tmp_path):
    """The public autoencoder of Stable Diffusion has such names in its attention."""
    renamed = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    folder = Path(models["AutoencoderKL"])
    tensors = load_file(folder / WEIGHTS)
    old = dict(tensors)
    for new, earlier in renamed.items():
        old = {key.replace(f".{new}.", f".{earlier}."): value for key, value in old.items()}
    assert old.keys() != tensors.keys()
    save_file(old, tmp_path / WEIGHTS, metadata={"format": "pt"})
    (tmp_path / "config.json").write_bytes((folder / "config.json").read_bytes())
    found = load_autoencoder(str(tmp_path))
    assert found.sha256 == load_autoencoder(str(folder)).sha256


def _without_config(folder):
    (folder / "config.json").unlink()


def _list_as_config(folder):
    (folder / "config.json").write_text("[]")


def _cut_weights(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def _without_weights(folder):
    (folder / WEIGHTS).unlink()


def _without_encoder(folder):
    tensors = load_file(folder / WEIGHTS)
    kept = {key: value for key, value in tensors.items() if not key.startswith("encoder")}
    save_file(kept, folder / WEIGHTS, metadata={"format": "pt"})


def _set(**values):
    def change(folder):
        found = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**found, **values}))

    return change


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("AutoencoderKL", _without_config, r"with config\.json .* found nothing at "),
        ("AutoencoderKL", _list_as_config, r"config\.json of .* must hold settings by name"),
        (
            "AutoencoderDC",
            _set(_class_name="AutoencoderKLWan"),
            "must be one of AutoencoderKL, AutoencoderDC, AutoencoderRAE, AutoencoderTiny, "
            "VQModel, found 'AutoencoderKLWan'",
        ),
        ("AutoencoderDC", _cut_weights, "AutoencoderDC .* whose weights cannot be loaded"),
        ("AutoencoderRAE", _without_weights, "AutoencoderRAE .* whose weights cannot be loaded"),
        ("AutoencoderKL", _set(latent_channels=7), "whose weights cannot be loaded"),
        ("AutoencoderDC", _set(encoder_block_types=["NoBlock"] * 2), "weights cannot be loaded"),
        ("AutoencoderDC", _without_encoder, "hold all weights of an AutoencoderDC, .* encoder"),
        ("AutoencoderRAE", _set(reshape_to_2d=False), "reshape_to_2d=true.*, found tokens"),
    ],
)
def test_a_folder_that_cannot_be_used_is_a_clear_mistake(name, damage, message, tmp_path):
    folder = tmp_path / "model"
    write_autoencoder(folder, name)
    damage(folder)
    with pytest.raises(InputError, match=message) as found:
        LatentModel(settings(str(folder)))
    assert "\n" not in str(found.value)


def test_images_of_one_channel_are_refused(tmp_path):
    folder = write_autoencoder(tmp_path / "grey", in_channels=1, out_channels=1)
    with pytest.raises(InputError, match="must have images of 3 channels, found 1"):
        LatentModel(settings(folder))


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("AutoencoderKL", 17, "multiple of 2, .* found 17"),
        ("AutoencoderDC", 15, "multiple of 2, .* found 15"),
        ("AutoencoderRAE", 32, "must be 16, .* found 32; set latents.image_size=16"),
    ],
)
def test_sizes_that_do_not_come_back_are_refused(name, side, message, models):
    with pytest.raises(InputError, match=message):
        LatentModel(settings(models[name], image_size=side))


def test_a_library_without_the_class_is_too_old(models, monkeypatch):
    monkeypatch.delattr(diffusers, "AutoencoderRAE")
    monkeypatch.setattr(diffusers, "__version__", "0.35.0")
    monkeypatch.setattr(type(diffusers), "__getattr__", _no_such_name)
    with pytest.raises(InputError, match=r"an AutoencoderRAE, which diffusers 0\.35\.0 does not"):
        load_autoencoder(models["AutoencoderRAE"])


def _no_such_name(_module, name):
    raise AttributeError(name)


def test_a_missing_package_is_named(models, monkeypatch):
    monkeypatch.setattr(autoencoder, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"needs the package transformers; install it: pip"):
        load_autoencoder(models["AutoencoderRAE"])
