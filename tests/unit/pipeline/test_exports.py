import io
import json
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

from otcondense.datasets import SourceConfig, list_images, read_image_bytes
from otcondense.errors import InputError
from otcondense.exports.subsets import EXPORTS, ExportConfig, export_subset
from otcondense.store import sha256_bytes
from tests.generators.containers import table, write_parquet, write_saved, write_shards

CHOSEN = ["b/deep/4.png", "a/1.png"]


@pytest.fixture
def source(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a/1.png", "a/2.png", "b/3.png", "b/deep/4.png"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(path)
    return SourceConfig(path=str(tmp_path / "images"))


@pytest.fixture
def manifest(source):
    digests = [sha256_bytes((Path(source.path) / image_id).read_bytes()) for image_id in CHOSEN]
    return pa.table(
        {
            "image_id": CHOSEN,
            "class_name": ["b", "a"],
            "class_index": [1, 0],
            "rank": [0, 0],
            "weight": [1.0, 1.0],
            "sha256": digests,
        }
    )


def test_json_lists_the_paths_in_order_of_choice(source, manifest, tmp_path):
    config = ExportConfig(output=str(tmp_path / "out" / "subset.json"), format="json")
    assert export_subset(manifest, source, config) == 2
    assert json.loads(Path(config.output).read_text()) == CHOSEN


@pytest.mark.parametrize("files", ["link", "copy"])
def test_image_folder_is_read_by_torchvision(source, manifest, tmp_path, files):
    config = ExportConfig(output=str(tmp_path / "subset"), format="image_folder", files=files)
    export_subset(manifest, source, config)
    folder = ImageFolder(config.output)
    assert folder.classes == ["a", "b"]
    assert sorted(
        str(Path(path).relative_to(config.output)) for path, _ in folder.samples
    ) == sorted(CHOSEN)
    for image, label in folder:
        image_id = CHOSEN[1 - label]
        np.testing.assert_array_equal(
            np.asarray(image), np.asarray(Image.open(Path(source.path) / image_id))
        )
    assert all(Path(path).is_symlink() == (files == "link") for path, _ in folder.samples)


HOSTILE = ("../../evil", "/etc/evil", "..", "a/b", "x" * 300, "<script>")


@pytest.mark.parametrize("kind", ["parquet", "hf", "webdataset"])
def test_images_inside_other_files_get_a_folder_for_each_class(kind, tmp_path):
    write = {
        "parquet": write_parquet,
        "hf": write_saved,
        "webdataset": partial(write_shards, style="cls"),
    }[kind]
    source = SourceConfig(path=str(write(tmp_path / "source")), kind=kind)
    check_image_folder(source, tmp_path / "out" / "subset")


def test_an_id_cannot_lead_out_of_an_image_folder(tmp_path):
    columns = table().set_column(2, "key", pa.array(HOSTILE))
    source = SourceConfig(
        path=str(write_parquet(tmp_path / "source", columns)), kind="parquet", id_column="key"
    )
    check_image_folder(source, tmp_path / "out" / "subset")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "source"]


def check_image_folder(source: SourceConfig, output: Path) -> None:
    """Export all images, in reverse order, and let torchvision read them."""
    records = list_images(source)[::-1]
    rows = [
        (
            each.image_id,
            each.class_name,
            each.class_index,
            sha256_bytes(read_image_bytes(each.path)),
        )
        for each in records
    ]
    columns = zip(
        ("image_id", "class_name", "class_index", "sha256"),
        map(list, zip(*rows, strict=True)),
        strict=True,
    )
    manifest = pa.table({**dict(columns), "rank": range(len(records))})
    with pytest.raises(InputError, match="set files=copy"):
        export_subset(manifest, source, ExportConfig(output=str(output), format="image_folder"))
    export_subset(
        manifest, source, ExportConfig(output=str(output), format="image_folder", files="copy")
    )
    folder = ImageFolder(str(output))
    assert folder.classes == ["cat", "dog", "emu"]
    found = sorted(
        (sha256_bytes(Path(path).read_bytes()), folder.classes[label])
        for path, label in folder.samples
    )
    assert found == sorted((row[3], row[1]) for row in rows)


def test_copies_are_a_source_of_their_own_and_links_need_leave(source, manifest, tmp_path):
    for files in ("link", "copy"):
        export_subset(
            manifest,
            source,
            ExportConfig(output=str(tmp_path / files), format="image_folder", files=files),
        )
    assert [
        record.image_id for record in list_images(SourceConfig(path=str(tmp_path / "copy")))
    ] == sorted(CHOSEN)
    with pytest.raises(InputError, match="allow_links=true"):
        list_images(SourceConfig(path=str(tmp_path / "link")))


def test_parquet_holds_images_and_manifest(source, manifest, tmp_path):
    config = ExportConfig(output=str(tmp_path / "subset.parquet"), format="parquet")
    export_subset(manifest, source, config)
    rows = pq.read_table(config.output).to_pylist()
    assert [row["image"]["path"] for row in rows] == [row["image_id"] for row in rows] == CHOSEN
    assert [row["label"] for row in rows] == [1, 0]
    for row in rows:
        np.testing.assert_array_equal(
            np.asarray(Image.open(io.BytesIO(row["image"]["bytes"]))),
            np.asarray(Image.open(Path(source.path) / row["image_id"])),
        )


@pytest.mark.parametrize("form", sorted(EXPORTS))
def test_exporting_twice_gives_the_same_bytes(source, manifest, tmp_path, form):
    outputs = [tmp_path / name for name in ("one", "two")]
    for output in outputs:
        export_subset(manifest, source, ExportConfig(output=str(output), format=form, files="copy"))
    one, two = (
        {path.relative_to(o): path.read_bytes() for path in [o, *o.rglob("*")] if path.is_file()}
        for o in outputs
    )
    assert one == two


@pytest.mark.parametrize("form", sorted(EXPORTS))
def test_no_export_leaves_the_source_root_or_something_half_written(
    source, manifest, tmp_path, form
):
    (tmp_path / "secret.png").write_bytes(b"secret")
    outside = manifest.set_column(0, "image_id", pa.array([CHOSEN[0], "../secret.png"]))
    with pytest.raises(InputError, match="relative path below"):
        export_subset(outside, source, ExportConfig(output=str(tmp_path / "out"), format=form))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "secret.png"]


@pytest.mark.parametrize("form", ["image_folder", "parquet"])
def test_a_changed_image_leaves_nothing_behind(source, manifest, tmp_path, form):
    (Path(source.path) / CHOSEN[1]).write_bytes(b"other")
    with pytest.raises(InputError, match="has changed since"):
        export_subset(manifest, source, ExportConfig(output=str(tmp_path / "out"), format=form))
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_nothing_is_overwritten(source, manifest, tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(InputError, match="must not exist yet"):
        export_subset(manifest, source, ExportConfig(output=str(tmp_path / "out")))
    assert (tmp_path / "out").read_text() == "mine"
