"""Images and samples on disk."""

from dataclasses import replace

import numpy as np
import pytest

from otcondense.diffusion import SamplerConfig
from otcondense.diffusion.checkpoint_state import CheckpointState, FileDigest
from otcondense.diffusion.samples import (
    is_sampled,
    read_samples,
    samples_fingerprint,
    sampling_units,
    write_part,
)
from otcondense.errors import InputError
from otcondense.store import Store
from otcondense.store.images import read_images, write_images

CHECKPOINT = CheckpointState(
    step=1,
    fingerprint="f",
    config={},
    objective="dit",
    time_convention="t",
    num_classes=10,
    image_shape=(3, 4, 4),
    files={"ema": FileDigest(1, "e"), "model": FileDigest(1, "m")},
)


@pytest.fixture
def store(tmp_path):
    return Store(str(tmp_path))


def pixels(count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, 3, 4, 4), dtype=np.uint8), rng.integers(0, 10, count)


def test_images_round_trip(store):
    images, labels = pixels(5)
    write_images(store, "images.parquet", images, labels, fingerprint="x")
    stored, classes = read_images(store, "images.parquet")
    assert np.array_equal(stored, images)
    assert np.array_equal(classes, labels)


def test_parts_cover_all_images():
    parts = sampling_units(SamplerConfig(num_samples=25, batch_size=10))
    assert [(part.first, part.count) for part in parts] == [(0, 10), (10, 10), (20, 5)]
    assert len({part.name for part in parts}) == 3


def test_samples_come_back_in_order(store):
    config = SamplerConfig(num_samples=25, batch_size=10)
    images, labels = pixels(25)
    for part in reversed(sampling_units(config)):
        rows = slice(part.first, part.first + part.count)
        write_part(store, "samples", part, (images[rows], labels[rows]), "wanted")
        assert is_sampled(store, "samples", part, "wanted")
        assert not is_sampled(store, "samples", part, "other")
    stored, classes = read_samples(store, "samples", 25)
    assert np.array_equal(stored, images)
    assert np.array_equal(classes, labels)
    assert len(read_samples(store, "samples", 7)[0]) == 7
    with pytest.raises(InputError, match="must hold 30 samples, found 25"):
        read_samples(store, "samples", 30)


def test_damaged_part_is_not_taken_for_done(store):
    part = sampling_units(SamplerConfig(num_samples=4, batch_size=4))[0]
    write_part(store, "samples", part, pixels(4), "wanted")
    name = f"samples/{part.name}"
    store.write_bytes(name, store.read_bytes(name)[:-9])
    assert not is_sampled(store, "samples", part, "wanted")


@pytest.mark.parametrize(
    ("change", "same"),
    [({"num_samples": 9}, True), ({"cfg_scale": 2.0}, False), ({"weights": "model"}, False)],
)
def test_fingerprint(change, same):
    assert (
        samples_fingerprint(SamplerConfig(**change), CHECKPOINT)
        == samples_fingerprint(SamplerConfig(), CHECKPOINT)
    ) is same


def test_the_weak_checkpoint_is_part_of_the_fingerprint():
    config = SamplerConfig(cfg_scale=1.0, autoguidance={"checkpoint_step": 1})
    other = replace(CHECKPOINT, files={"ema": FileDigest(1, "other")})
    found = {samples_fingerprint(config, CHECKPOINT, weak) for weak in (CHECKPOINT, other)}
    assert len(found | {samples_fingerprint(SamplerConfig(cfg_scale=1.0), CHECKPOINT)}) == 3


def test_missing_images(store):
    with pytest.raises(InputError, match=r"no image file .*absent.parquet"):
        read_images(store, "absent.parquet")
