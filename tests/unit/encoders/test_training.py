import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from otcondense.datasets import SourceConfig, scan_images, write_digits
from otcondense.encoders import EncoderConfig, TrainEncoderConfig, load_encoder, train_encoder
from otcondense.errors import InputError


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digits"
    write_digits(root)
    return {
        split: scan_images(SourceConfig(path=str(root / split))) for split in ("train", "held_out")
    }


def every(listing, step):
    rows = np.arange(0, len(listing), step)
    return replace(listing, table=listing.table.take(pa.array(rows)))


def settings(folder, **train):
    return EncoderConfig(
        name="test_byobnet",
        weights=str(folder / "encoder.safetensors"),
        image_size=32,
        in_chans=1,
        num_classes=10,
        crop_pct=1.0,
        device="cpu",
        train=TrainEncoderConfig(**train),
    )


def test_held_out_digits_are_recognised(digits, tmp_path):
    config, seen = settings(tmp_path), []
    training = train_encoder(
        digits["train"], config, on_progress=lambda done, total: seen.append((done, total))
    )
    pixels = torch.from_numpy(
        np.stack([np.asarray(Image.open(record.path)) for record in digits["held_out"].records])
    )[:, None]
    output = load_encoder(config).encode_pixels(pixels)
    labels = torch.tensor([record.class_index for record in digits["held_out"].records])
    assert (output.logits.argmax(1) == labels).double().mean() >= 0.96
    assert training.accuracy >= 0.96
    assert output.features.shape == (397, 256)
    assert seen == [(epoch, 6) for epoch in range(1, 7)]


def test_same_settings_same_bytes_and_a_finished_training_is_kept(digits, tmp_path):
    few = every(digits["train"], 7)
    first, second = (settings(tmp_path / name, epochs=1) for name in "ab")
    before = torch.random.get_rng_state()
    assert not train_encoder(few, first).skipped
    assert torch.equal(before, torch.random.get_rng_state()), (
        "training must not touch the caller's random numbers"
    )
    train_encoder(few, second)
    assert Path(first.weights).read_bytes() == Path(second.weights).read_bytes()
    assert train_encoder(few, first).skipped
    assert not train_encoder(few, settings(tmp_path / "a", epochs=1, seed=1)).skipped
    assert Path(first.weights).read_bytes() != Path(second.weights).read_bytes()


def test_damaged_weights_are_trained_again(digits, tmp_path):
    few, config = every(digits["train"], 14), settings(tmp_path, epochs=1)
    train_encoder(few, config)
    good = Path(config.weights).read_bytes()
    Path(config.weights).write_bytes(good[:-1])
    assert not train_encoder(few, config).skipped
    assert Path(config.weights).read_bytes() == good
    assert json.loads(Path(f"{config.weights}.json").read_text())["encoder"]["train"]["epochs"] == 1
    assert {path.name for path in tmp_path.iterdir()} == {
        "encoder.safetensors",
        "encoder.safetensors.json",
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": None}, "`train` and a .safetensors file"),
        ({"weights": None}, "`train` and a .safetensors file"),
        ({"num_classes": 9}, "at least 10, the number of classes of the source, found 9"),
        ({"num_classes": None}, "at least 10, the number of classes of the source, found None"),
        (
            {"train": TrainEncoderConfig(batch_size=2000)},
            "at least batch_size=2000 images, found 1400",
        ),
    ],
)
def test_invalid_trainings_are_refused(digits, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        train_encoder(digits["train"], settings(tmp_path).model_copy(update=change))
    assert not list(tmp_path.iterdir())


def test_unreadable_images_are_left_to_the_extraction(digits, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"x")
    table = digits["train"].table.slice(0, 70)
    paths = pa.array([str(broken)] * 70, pa.large_string())
    place = table.schema.get_field_index("path")
    listing = replace(digits["train"], table=table.set_column(place, "path", paths))
    with pytest.raises(InputError, match="none of the 70 training images can be decoded"):
        train_encoder(listing, settings(tmp_path / "weights", epochs=1))


def test_weights_that_were_not_trained_here_are_kept(tmp_path):
    weights = tmp_path / "mine.safetensors"
    weights.write_bytes(b"precious")
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/4.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"x")
    listing = scan_images(SourceConfig(path=str(tmp_path / "images")))
    config = EncoderConfig(
        name="test_resnet",
        weights=str(weights),
        num_classes=2,
        train={"epochs": 1, "batch_size": 2},
    )
    with pytest.raises(InputError, match=r"must be a new file if encoder\.train is set"):
        train_encoder(listing, config)
    assert weights.read_bytes() == b"precious"
