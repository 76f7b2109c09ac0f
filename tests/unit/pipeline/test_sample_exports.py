"""Samples for other tools: ADM's npz, PNG files, Parquet; whole or not at all."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from jobs.measure.image_sets import iterate_images
from otcondense.diffusion import SamplerConfig
from otcondense.diffusion.samples import iterate_samples, sampling_units, write_part
from otcondense.errors import InputError
from otcondense.exports.samples import export_samples
from otcondense.store import Store


@pytest.fixture(params=[1, 3])
def sampled(request, tmp_path):
    """25 samples in three parts, grey or in colour."""
    store, rng = Store(str(tmp_path / "run")), np.random.default_rng(0)
    images, labels = (
        rng.integers(0, 256, (25, request.param, 4, 6), dtype=np.uint8),
        np.arange(25) % 10,
    )
    for unit in sampling_units(SamplerConfig(num_samples=25, batch_size=10)):
        rows = slice(unit.first, unit.first + unit.count)
        write_part(store, "samples", unit, (images[rows], labels[rows]), "x")
    return store, images, labels


def export(sampled, form, output, count=25):
    export_samples(iterate_samples(sampled[0], "samples", count), form, str(output), count)


def test_npz_is_what_adm_reads(sampled, tmp_path):
    _, images, labels = sampled
    for name, count in (("a.npz", 25), ("again.npz", 25), ("part.npz", 13)):
        export(sampled, "npz", tmp_path / name, count)
    held = np.load(tmp_path / "a.npz")
    expected = np.repeat(images, 3 // images.shape[1], axis=1).transpose(0, 2, 3, 1)
    assert np.array_equal(held["arr_0"], expected)
    assert held["arr_0"].dtype == np.uint8
    assert held["arr_1"].tolist() == labels.tolist()
    assert np.array_equal(np.load(tmp_path / "part.npz")["arr_0"], expected[:13])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "again.npz").read_bytes()


def test_png(sampled, tmp_path):
    export(sampled, "png", tmp_path / "images")
    files = sorted((tmp_path / "images").iterdir())
    assert [file.name for file in files[:2]] == ["000000.png", "000001.png"]
    for file, image in zip(files, sampled[1], strict=True):
        assert np.array_equal(
            np.asarray(Image.open(file)), image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        )


def test_parquet(sampled, tmp_path):
    export(sampled, "parquet", tmp_path / "samples.parquet")
    rows = pq.read_table(tmp_path / "samples.parquet").to_pylist()
    assert [row["label"] for row in rows] == sampled[2].tolist()
    first = np.asarray(Image.open(io.BytesIO(rows[0]["image"]["bytes"])))
    assert np.array_equal(first.reshape(4, 6, -1), sampled[1][0].transpose(1, 2, 0))


def test_parquet_is_read_as_images(sampled, tmp_path):
    datasets = pytest.importorskip("datasets")
    export(sampled, "parquet", tmp_path / "samples.parquet")
    found = datasets.Dataset.from_parquet(
        str(tmp_path / "samples.parquet"), cache_dir=str(tmp_path / "cache")
    )
    for row, image in zip(found, sampled[1], strict=True):
        pixels = np.asarray(row["image"]).reshape(4, 6, -1)
        np.testing.assert_array_equal(pixels, image.transpose(1, 2, 0))


@pytest.mark.parametrize(
    ("form", "name"), [("npz", "a.npz"), ("png", "a"), ("parquet", "a.parquet")]
)
def test_every_form_can_be_measured(form, name, sampled, tmp_path):
    export(sampled, form, tmp_path / name)
    images = np.concatenate([part.numpy() for part in iterate_images(str(tmp_path / name))])
    assert np.array_equal(images, np.repeat(sampled[1], 3 // sampled[1].shape[1], axis=1))


def test_a_table_without_images_cannot_be_measured(tmp_path):
    pq.write_table(pa.table({"image": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="column image with the bytes of image files, found int64"):
        list(iterate_images(str(tmp_path / "a.parquet")))


@pytest.mark.parametrize("form", ["npz", "png", "parquet"])
def test_too_few_samples_leave_nothing(form, sampled, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="must hold 30 samples, found 25"):
        export(sampled, form, tmp_path / "out", 30)
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_file_is_not_overwritten(sampled, tmp_path):
    (tmp_path / "a.npz").write_bytes(b"mine")
    with pytest.raises(InputError, match="must not exist yet"):
        export(sampled, "npz", tmp_path / "a.npz")
    assert (tmp_path / "a.npz").read_bytes() == b"mine"
