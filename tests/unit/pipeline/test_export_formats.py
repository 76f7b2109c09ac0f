"""WebDataset shards and Hugging Face data sets, read by the loaders of their own ecosystems."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from otcondense.datasets import SourceConfig
from otcondense.exports import tar_shards
from otcondense.exports.subsets import ExportConfig, export_subset
from otcondense.store import ClassSelection, manifest_table, sha256_bytes

CHOSEN = {"a": [2, 0], "b": [1, 2]}


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    for class_name in CHOSEN:
        for number in range(3):
            path = tmp_path / "images" / class_name / f"{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            kind = "PNG" if number == 0 else "JPEG"
            Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(path, kind)
    return SourceConfig(path=str(tmp_path / "images"))


@pytest.fixture
def manifest(source):
    selections = []
    for index, (class_name, chosen) in enumerate(CHOSEN.items()):
        image_ids = [f"{class_name}/{number}.JPEG" for number in range(3)]
        hashes = [
            sha256_bytes((Path(source.path) / image_id).read_bytes()) for image_id in image_ids
        ]
        mass, assignment = np.full(3, 1 / 3), np.array([chosen[0]] * 3)
        selections.append(
            ClassSelection(
                class_name,
                index,
                image_ids,
                np.array(chosen),
                mass,
                assignment,
                None,
                hashes,
                np.arange(2),
                np.ones(2),
            )
        )
    return manifest_table(selections)


def pixels_of(source, image_id):
    return np.asarray(Image.open(Path(source.path) / image_id))


@pytest.mark.parametrize("per_shard", [3, 1000])
def test_webdataset_reads_its_shards(source, manifest, tmp_path, monkeypatch, per_shard):
    webdataset = pytest.importorskip("webdataset")
    monkeypatch.setattr(tar_shards, "IMAGES_PER_SHARD", per_shard)
    export_subset(manifest, source, ExportConfig(output=str(tmp_path / "out"), format="webdataset"))
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert [shard["samples"] for shard in index["shards"]] == ([3, 1] if per_shard == 3 else [4])
    shards = [str(tmp_path / "out" / shard["file"]) for shard in index["shards"]]
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode("rgb8"))
    rows = manifest.to_pylist()
    assert [sample["json"]["image_id"] for sample in samples] == [row["image_id"] for row in rows]
    assert [sample["cls"] for sample in samples] == [row["class_index"] for row in rows]
    for sample, row in zip(samples, rows, strict=True):
        np.testing.assert_array_equal(sample["jpg"], pixels_of(source, row["image_id"]))


@pytest.mark.parametrize("images", [False, True])
def test_hugging_face_reads_its_data_set(source, manifest, tmp_path, images, monkeypatch):
    datasets = pytest.importorskip("datasets")
    export_subset(
        manifest, source, ExportConfig(output=str(tmp_path / "out"), format="hf", images=images)
    )
    found = datasets.load_dataset(
        str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache")
    )
    rows = manifest.to_pylist()
    assert [row["image_id"] for row in found] == [row["image_id"] for row in rows]
    assert ("image" in found.column_names) == images
    assert found.features["rank"].dtype == "int32"
    for row in found if images else []:
        np.testing.assert_array_equal(np.asarray(row["image"]), pixels_of(source, row["image_id"]))


def test_the_card_says_what_is_in_the_data_set(source, manifest, tmp_path):
    export_subset(
        manifest, source, ExportConfig(output=str(tmp_path / "out"), format="hf", images=False)
    )
    _, front, text = (tmp_path / "out" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["configs"][0]["data_files"][0]["path"] == "data/train-*.parquet"
    assert yaml.safe_load(front)["size_categories"] == ["n<1K"]
    assert all(f"| `{name}` |" in text for name in manifest.column_names)
    assert "4 images of 2 classes" in text
    assert "It holds their ids, not the images." in text
    assert not list((tmp_path / "out").rglob("*.JPEG"))


def test_a_png_named_jpeg_is_stored_as_it_is(source, manifest, tmp_path):
    export_subset(
        manifest, source, ExportConfig(output=str(tmp_path / "out"), format="hf", images=True)
    )
    import pyarrow.parquet as pq

    column = pq.read_table(next((tmp_path / "out" / "data").iterdir())).column("image").to_pylist()
    assert Image.open(io.BytesIO(column[1]["bytes"])).format == "PNG"
