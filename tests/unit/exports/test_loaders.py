"""Every format is read by its own loader: all images, and the same pixels as in the source."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import yaml
from PIL import ExifTags, Image
from torchvision.datasets import ImageFolder
from torchvision.datasets.folder import IMG_EXTENSIONS

from otcondense.datasets import SourceConfig, list_images, read_image_bytes, scan_images
from otcondense.errors import InputError
from otcondense.exports import hugging_face, parquet_tables, tar_shards
from otcondense.exports.image_folder import LOADER_SUFFIXES
from otcondense.exports.subsets import ExportConfig, export_subset
from tests.generators.containers import table, write_parquet
from tests.generators.odd_images import pixels_of, rgb, whole_manifest, write_odd_images

COLUMNS = ("class_name", "class_index")


@pytest.fixture
def source(tmp_path):
    return write_odd_images(tmp_path / "images")


@pytest.fixture
def manifest(source):
    return whole_manifest(source)


def export(source, manifest, tmp_path, form, **options):
    """Export a subset; return its place and what was said."""
    said = []
    output = tmp_path / "out"
    config = ExportConfig(output=str(output), format=form, **options)
    assert export_subset(manifest, source, config, said.append) == manifest.num_rows
    return output, said


def test_the_suffixes_are_those_of_torchvision():
    assert set(IMG_EXTENSIONS) >= LOADER_SUFFIXES


def test_the_images_of_one_class_lie_in_its_folder(tmp_path):
    for name in ("a.png", "day 1/a.png"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(tmp_path / "photos" / name)
    source = SourceConfig(path=str(tmp_path / "photos"), kind="one_class")
    output, _ = export(source, whole_manifest(source), tmp_path, "image_folder")
    folder = ImageFolder(str(output))
    assert folder.classes == ["photos"]
    assert len(folder) == 2


def read_by_datasets(output, tmp_path, **places):
    datasets = pytest.importorskip("datasets")
    found = datasets.load_dataset("imagefolder", cache_dir=str(tmp_path / "cache"), **places)
    assert list(found) == ["train"]
    return found["train"]


@pytest.mark.parametrize(("files", "place"), [("link", "data_dir"), ("copy", "data_files")])
def test_diffusers_scripts_find_images_and_captions(source, manifest, tmp_path, files, place):
    output, _ = export(
        source, manifest, tmp_path, "diffusers", files=files, prompt="a {class_name}, {{close}}"
    )
    # train_unconditional names the folder, train_text_to_image all files in it.
    places = {"data_dir": str(output)}
    if place == "data_files":
        places = {"data_files": {"train": str(output / "**")}}
    found = read_by_datasets(output, tmp_path, **places)
    # train_text_to_image takes the first two columns, unless it is told others.
    assert found.column_names[:2] == ["image", "text"]
    rows = {(row["class_name"], row["rank"]): row for row in manifest.to_pylist()}
    assert len(found) == len(rows)
    for row in found:
        wanted = rows.pop((row["class_name"], row["rank"]))
        assert row["text"] == f"a {wanted['class_name']}, {{close}}"
        assert (row["label"], row["weight"]) == (wanted["class_index"], wanted["weight"])
        pixels = pixels_of(source, wanted["image_id"])
        np.testing.assert_array_equal(rgb(row["image"]), pixels, wanted["image_id"])


def test_the_folder_of_one_class_holds_images_alone(source, manifest, tmp_path):
    output, _ = export(source, manifest, tmp_path, "diffusers")
    files = list((output / "train" / "ant").iterdir())  # as train_dreambooth does
    assert len(files) == manifest["class_name"].to_pylist().count("ant") > 0
    for path in files:
        with Image.open(path) as image:
            image.load()


def test_no_name_of_a_class_leads_datasets_astray(tmp_path):
    names = ["test", "my-val 2", "the.eval", "__new", "metadata.jsonl", "${HOME}", "a::b", "plain"]
    source = SourceConfig(
        path=str(write_parquet(tmp_path / "source", table(names))), kind="parquet"
    )
    output, said = export(source, whole_manifest(source), tmp_path, "diffusers", files="copy")
    found = read_by_datasets(output, tmp_path, data_dir=str(output))
    assert sorted(found["class_name"]) == sorted(names)
    folders = {path.name for path in (output / "train").iterdir() if path.is_dir()}
    assert len(folders & set(names)) == 1
    assert "plain" in folders
    assert any("7 of 8 images are in folders with a number for a name" in each for each in said)


@pytest.mark.parametrize("prompt", ["", " ", "a {name}", "a {", "a {}", "a {class_name.__doc__}"])
def test_a_caption_with_other_gaps_is_refused(source, manifest, tmp_path, prompt):
    with pytest.raises(InputError, match=r"--prompt must be a caption, in which .class_name."):
        export(source, manifest, tmp_path, "diffusers", prompt=prompt)


@pytest.mark.parametrize("files", ["link", "copy"])
def test_image_folder_has_every_image_with_its_pixels(source, manifest, tmp_path, files):
    output, said = export(source, manifest, tmp_path, "image_folder", files=files)
    folder = ImageFolder(str(output))
    assert folder.classes == ["ant", "bee"]
    assert len(folder) == manifest.num_rows
    found = {str(Path(path).relative_to(output)): path for path, _ in folder.samples}
    renamed = {
        "ant/old.jfif": "ant/old-1.jpg",
        "ant/moving.gif": "ant/moving-1.png",
        "bee/grey.gif": "bee/grey.png",
        "bee/lies.gif": "bee/lies.jpg",
        "bee/deep.tif": "bee/deep-1.png",
        "bee/new.avif": "bee/new.png",
    }
    encoded = {"ant/moving.gif", "bee/grey.gif", "bee/new.avif", "bee/deep.png", "bee/deep.tif"}
    for image_id in manifest.column("image_id").to_pylist():
        path = Path(found.pop(renamed.get(image_id, image_id)))
        pixels = np.asarray(folder.loader(str(path)))
        np.testing.assert_array_equal(pixels, pixels_of(source, image_id), image_id)
        assert path.is_symlink() == (files == "link" and image_id not in encoded)
        if image_id not in encoded:
            assert path.read_bytes() == (Path(source.path) / image_id).read_bytes()
    assert found == {}
    avif = "bee/new.avif" in manifest.column("image_id").to_pylist()
    assert said[1].startswith(f"{4 + avif} of {manifest.num_rows} images have a suffix that")
    assert said[2].startswith(f"{4 + avif} images became PNG files (")
    assert all(part in said[2] for part in ("16-bit grey 2", "GIF 2"))
    assert said[3] == "2 images got another suffix (.gif as .jpg 1, .jfif as .jpg 1)"


@pytest.mark.parametrize("form", ["image_folder", "webdataset"])
def test_photos_turned_by_exif_lie_upright(tmp_path, form):
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    (tmp_path / "photos" / "a").mkdir(parents=True)
    path = tmp_path / "photos" / "a" / "turned.jpg"
    Image.new("RGB", (6, 4), "red").save(path, exif=exif)
    source = SourceConfig(path=str(tmp_path / "photos"))
    output, said = export(source, whole_manifest(source), tmp_path, form)
    if form == "image_folder":
        [(file, _)] = ImageFolder(str(output)).samples
        assert Image.open(file).size == (4, 6)
    else:
        with tarfile.open(output / "000000.tar") as shard:
            [name] = [each for each in shard.getnames() if each.endswith(".jpg")]
            assert Image.open(shard.extractfile(name)).size == (4, 6)
    assert any("JPEG turned by EXIF" in each for each in said)


def test_other_labels_than_those_of_the_manifest_are_said(tmp_path):
    columns = table(labels=("10", "2", "2", "10", "2", "2"))
    source = SourceConfig(path=str(write_parquet(tmp_path / "source", columns)), kind="parquet")
    manifest = whole_manifest(source)
    output, said = export(source, manifest, tmp_path, "image_folder", files="copy")
    indices = dict(zip(*(manifest.column(name).to_pylist() for name in COLUMNS), strict=True))
    assert ImageFolder(str(output)).class_to_idx == {"10": 0, "2": 1}
    assert indices == {"2": 0, "10": 1}
    assert any("its labels are not the class_index of the manifest" in each for each in said)


def odd_container(source, tmp_path):
    """Write the images of a folder as rows of a Parquet file, whose ids have no suffix."""
    records = list_images(source)
    columns = {
        "image": [read_image_bytes(record.path) for record in records],
        "label": [record.class_name for record in records],
    }
    write_parquet(tmp_path / "rows", pa.table(columns))
    inside = SourceConfig(path=str(tmp_path / "rows"), kind="parquet")
    return inside, whole_manifest(inside)


def test_images_inside_other_files_get_the_suffix_of_their_content(source, tmp_path):
    inside, rows = odd_container(source, tmp_path)
    output, said = export(inside, rows, tmp_path, "image_folder", files="copy")
    folder = ImageFolder(str(output))
    assert len(folder) == rows.num_rows
    places = {record.image_id: record.path for record in list_images(inside)}
    for row in rows.to_pylist():
        (path,) = output.glob(f"{row['class_name']}/{row['rank']:06d}.*")
        with Image.open(io.BytesIO(read_image_bytes(places[row["image_id"]]))) as original:
            np.testing.assert_array_equal(np.asarray(folder.loader(str(path))), rgb(original))
        with Image.open(path) as written:
            assert Image.registered_extensions()[path.suffix] == written.format
    assert len(said) == 2


@pytest.mark.parametrize("encode", ["keep", "jpg", "png"])
def test_one_key_reads_every_image_of_the_shards(source, manifest, tmp_path, monkeypatch, encode):
    webdataset = pytest.importorskip("webdataset")
    monkeypatch.setattr(tar_shards, "IMAGES_PER_SHARD", 5)
    output, said = export(source, manifest, tmp_path, "webdataset", encode=encode)
    shards = sorted(str(path) for path in output.glob("*.tar"))
    assert len(shards) == -(-manifest.num_rows // 5)
    key = "png" if encode == "png" else "jpg"
    opened = webdataset.WebDataset(shards, shardshuffle=False)
    samples = list(opened.decode("pil").to_tuple(key, "cls", "json"))
    assert len(samples) == manifest.num_rows
    for (image, label, values), row in zip(samples, manifest.to_pylist(), strict=True):
        assert (label, values) == (row["class_index"], row)
        wanted = pixels_of(source, row["image_id"])
        if encode == "jpg":
            assert np.abs(np.asarray(image).astype(int) - wanted).mean() < 3, row["image_id"]
        else:
            np.testing.assert_array_equal(np.asarray(image), wanted, row["image_id"])
    assert len(said) == 2


@pytest.mark.parametrize(("encode", "form"), [("jpg", "JPEG"), ("png", "PNG")])
def test_an_encoded_image_is_of_the_format_and_others_keep_their_bytes(
    source, manifest, tmp_path, encode, form
):
    output, _ = export(source, manifest, tmp_path, "webdataset", encode=encode)
    kept = 0
    with tarfile.open(output / "000000.tar") as tar:
        for number, row in enumerate(manifest.to_pylist()):
            data = tar.extractfile(f"{number:09d}.{encode}").read()
            original = (Path(source.path) / row["image_id"]).read_bytes()
            with Image.open(io.BytesIO(data)) as written, Image.open(io.BytesIO(original)) as first:
                assert written.format == form
                assert not written.mode.startswith("I")
                is_kept = first.format == form and not first.mode.startswith("I")
            assert (data == original) == is_kept
            kept += is_kept
    assert kept == {"jpg": 6, "png": 3}[encode]


def test_shards_are_a_source_with_the_names_of_the_classes(source, manifest, tmp_path):
    output, _ = export(source, manifest, tmp_path, "webdataset")
    names = str(output / "classes.txt")
    again = scan_images(SourceConfig(path=str(output), kind="webdataset", class_names=names))
    assert again.classes == ("ant", "bee")
    assert [record.class_name for record in again.records] == manifest.column(
        "class_name"
    ).to_pylist()
    assert json.loads((output / "index.json").read_text())["samples"] == manifest.num_rows


def check_hub_rows(found, source, manifest):
    """Compare what the `datasets` library gives with the source."""
    import datasets

    assert isinstance(found.features["image"], datasets.Image)
    assert found.features["label"].names == ["ant", "bee"]
    assert len(found) == manifest.num_rows
    for row, wanted in zip(found, manifest.to_pylist(), strict=True):
        assert found.features["label"].int2str(row["label"]) == wanted["class_name"]
        assert {name: row[name] for name in wanted} == wanted
        pixels = pixels_of(source, wanted["image_id"])
        np.testing.assert_array_equal(rgb(row["image"]), pixels, wanted["image_id"])


def check_own_rows(path, source, manifest):
    """Compare what our own source gives with the source."""
    columns = {"kind": "parquet", "id_column": "image_id"}
    again = scan_images(SourceConfig(path=str(path), **columns))
    first = scan_images(source)
    assert again.classes == first.classes
    for one, two in zip(again.records, first.records, strict=True):
        assert (one.image_id, one.class_name) == (two.image_id, two.class_name)
        assert read_image_bytes(one.path) == read_image_bytes(two.path)


@pytest.mark.parametrize("parts", [1, 6])
def test_a_hub_data_set_is_loaded_with_images_and_names(
    source, manifest, tmp_path, monkeypatch, parts
):
    datasets = pytest.importorskip("datasets")
    if parts > 1:
        monkeypatch.setattr(hugging_face, "SHARD_BYTES", 1)
        monkeypatch.setattr(parquet_tables, "BATCH_ROWS", -(-manifest.num_rows // parts))
    output, said = export(source, manifest, tmp_path, "hf")
    found = datasets.load_dataset(str(output), cache_dir=str(tmp_path / "cache"))
    assert list(found) == ["train"]
    check_hub_rows(found["train"], source, manifest)
    check_own_rows(output, source, manifest)
    files = sorted(path.name for path in (output / "data").iterdir())
    assert files == [f"train-{n:05d}-of-{parts:05d}.parquet" for n in range(parts)]
    assert said == []


def test_the_card_describes_columns_splits_and_sizes(source, manifest, tmp_path):
    output, _ = export(source, manifest, tmp_path, "hf")
    _, front, _ = (output / "README.md").read_text().split("---\n", 2)
    info = yaml.safe_load(front)["dataset_info"]
    types = {each["name"]: each["dtype"] for each in info["features"]}
    assert types["image"] == "image"
    assert types["label"] == {"class_label": {"names": {"0": "ant", "1": "bee"}}}
    (split,) = info["splits"]
    assert (split["name"], split["num_examples"]) == ("train", manifest.num_rows)
    stored = sum(path.stat().st_size for path in (output / "data").iterdir())
    assert info["download_size"] == stored
    assert info["dataset_size"] == split["num_bytes"] > 0


def test_a_parquet_file_is_read_with_images_and_names(source, manifest, tmp_path):
    datasets = pytest.importorskip("datasets")
    output, _ = export(source, manifest, tmp_path, "parquet")
    output = output.rename(tmp_path / "out.parquet")
    found = datasets.Dataset.from_parquet(str(output), cache_dir=str(tmp_path / "cache"))
    check_hub_rows(found, source, manifest)
    check_own_rows(output, source, manifest)


def test_json_has_every_image(source, manifest, tmp_path):
    output, _ = export(source, manifest, tmp_path, "json")
    assert json.loads(output.read_text()) == manifest.column("image_id").to_pylist()


@pytest.mark.parametrize("form", ["hf", "parquet"])
def test_names_of_classes_without_images_are_there(tmp_path, form):
    columns = table(labels=(0, 3, 0, 3, 3, 0), names=("cat", "dog", "emu", "fox"))
    source = SourceConfig(path=str(write_parquet(tmp_path / "source", columns)), kind="parquet")
    output, _ = export(source, whole_manifest(source), tmp_path, form)
    if form == "parquet":
        output = output.rename(tmp_path / "out.parquet")
    again = scan_images(SourceConfig(path=str(output), kind="parquet"))
    assert again.classes == ("cat", "dog", "emu", "fox")
    assert {record.class_index for record in again.records} == {0, 3}


def test_other_classes_than_those_of_the_subset_are_refused(tmp_path):
    columns = table(labels=(1, 1, 2, 2, 2, 1), names=("cat", "dog", "emu"))
    source = SourceConfig(path=str(write_parquet(tmp_path / "source", columns)), kind="parquet")
    manifest = whole_manifest(source)
    write_parquet(tmp_path / "source", table(labels=(1, 1, 2, 2, 2, 1), names=("a", "b", "c")))
    with pytest.raises(InputError, match=r"class 1 of .* must be 'dog'.*found"):
        export(source, manifest, tmp_path, "parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize("form", ["image_folder", "webdataset", "diffusers"])
def test_an_image_that_no_decoder_knows_leaves_nothing(source, tmp_path, form):
    (Path(source.path) / "ant/photo.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"photo.jpg cannot be decoded"):
        export(source, whole_manifest(source), tmp_path, form)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]
