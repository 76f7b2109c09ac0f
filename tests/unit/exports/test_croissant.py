"""Croissant metadata of an exported data set, read by the real package."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from otcondense.exports import hugging_face, parquet_tables
from otcondense.exports.card.facts import About, Choice, Origin
from otcondense.exports.card.licences import Licence
from otcondense.exports.subsets import ExportConfig, export_subset
from tests.generators.odd_images import whole_manifest, write_odd_images

mlcroissant = pytest.importorskip("mlcroissant")
pytestmark = pytest.mark.filterwarnings("ignore")  # of the package and of those that it imports
ABOUT = About(
    licence=Licence("cc-by-4.0"),
    origin=Origin("Odd images: a-z", "https://example.org/odd"),
    choice=Choice("geometry_aware", "m", "2 a class", 0, {}, "net", manifest_sha256="ab" * 32),
    repository="org/odd",
)


@pytest.mark.parametrize(("parts", "images"), [(1, True), (3, True), (1, False)])
def test_the_records_are_the_images(tmp_path, monkeypatch, parts, images):
    source = write_odd_images(tmp_path / "images")
    manifest = whole_manifest(source)
    if parts > 1:
        monkeypatch.setattr(hugging_face, "SHARD_BYTES", 1)
        monkeypatch.setattr(parquet_tables, "BATCH_ROWS", -(-manifest.num_rows // parts))
    config = ExportConfig(output=str(tmp_path / "out"), format="hf", images=images)
    export_subset(manifest, source, config, about=ABOUT)
    found = mlcroissant.Dataset(str(tmp_path / "out" / "croissant.json"))
    issues = found.metadata.ctx.issues
    assert not issues.errors
    # A date would make other bytes each day.
    assert [each for each in issues.warnings if "datePublished" not in each] == []
    values = found.metadata.to_json()
    assert values["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert "arXiv:2606.05883" in values["citeAs"]
    check_files(values["distribution"], tmp_path / "out", parts)
    check_records(list(found.records("rows")), manifest, source, images=images)
    names = [each["classes/name"] for each in found.records("classes")]
    assert names == [b"ant", b"bee"] or names == ["ant", "bee"]


def check_files(listed, folder, parts):
    """Compare the digests with the files."""
    files = [each for each in listed if each["@type"] == "cr:FileObject"]
    assert len(files) == parts
    for each in files:
        data = (folder / each["contentUrl"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == each["sha256"]


def check_records(rows, manifest, source, *, images):
    """Compare ids, labels and pixels with the manifest and the source."""
    assert [row["rows/image_id"].decode() for row in rows] == manifest["image_id"].to_pylist()
    assert [row["rows/label"] for row in rows] == manifest["class_index"].to_pylist()
    assert all(("rows/image" in row) is images for row in rows)
    for row in rows if images else ():
        path = f"{source.path}/{row['rows/image_id'].decode()}"
        with Image.open(path) as picture:
            np.testing.assert_array_equal(np.asarray(row["rows/image"]), np.asarray(picture), path)
