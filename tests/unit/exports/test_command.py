"""`otcondense export` as a person calls it: contents, formats, options and their mistakes."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets import SourceConfig, list_images
from otcondense.errors import InputError
from otcondense.exports.subsets import ExportConfig, export_subset
from tests.generators.page_runs import make_run, with_own_digests
from tests.verbs import call, output_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished selection of three classes."""
    return with_own_digests(make_run(tmp_path_factory.mktemp("run")))


def export(run, tmp_path, *options):
    """Return what the command prints; the output is `out` in the folder of the test."""
    words = (run.store.root, "--output", str(tmp_path / "out"), *options)
    return output_of("export", words)


def test_a_list_of_the_subset_is_the_default(run, tmp_path):
    printed = export(run, tmp_path)
    assert "12 images as json" in printed
    assert len(json.loads((tmp_path / "out").read_text())) == 12


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("image_folder", "become PNG files of 8 bits, and the others stay as they are"),
        ("webdataset", "images keep their bytes, all under the key jpg"),
    ],
)
def test_what_becomes_of_the_images_is_said_before_and_after(run, tmp_path, form, line):
    lines = export(run, tmp_path, "--format", form).splitlines()
    before = next(number for number, each in enumerate(lines) if line in each)
    after = next(number for number, each in enumerate(lines) if f"12 images as {form}" in each)
    assert before < after
    if form == "webdataset":
        assert "12 images: PNG kept under the key jpg 12" in lines[after - 1]


def test_features_of_all_images_are_exported(run, tmp_path):
    printed = export(run, tmp_path, "--what", "features")
    assert "features of 120 images as parquet" in printed
    table = pq.read_table(tmp_path / "out")
    assert table.column("label").to_pylist() == [0] * 40 + [1] * 40 + [2] * 40


def test_features_as_arrays(run, tmp_path):
    export(run, tmp_path, "--what", "features", "--format", "npy")
    assert np.load(tmp_path / "out" / "features.npy").shape == (120, 16)
    assert (tmp_path / "out" / "classes.txt").read_text() == "ant\nbee\ncat\n"


def test_a_hub_data_set_without_images(run, tmp_path):
    export(run, tmp_path, "--format", "hf", "--no-images")
    (file,) = (tmp_path / "out" / "data").iterdir()
    assert "image" not in pq.read_schema(file).names


MISTAKES = [
    (("--format", "npy"), "for --what subset, found npy; it belongs to --what features"),
    (
        ("--what", "features", "--format", "hf"),
        "must be one of parquet, npy for --what features, found hf; it belongs to --what subset",
    ),
    (("--files", "copy"), "--files is an option of --what subset --format image_folder or"),
    (("--format", "parquet", "--no-images"), "--no-images is an option of --what subset --format"),
    (("--images",), "--images is an option of --what subset --format hf or --what choices"),
    (("--encode", "png", "--format", "hf"), "--encode is an option of --what subset --format web"),
    (("--logits",), "--logits is an option of --what features, found --what subset --format json"),
    (("--what", "features", "--method", "random"), "--method is an option of --what subset or"),
    (("--what", "features", "--logits"), "has no logits; leave out --logits"),
    (("--prompt", "a cat"), "--prompt is an option of --what subset --format diffusers, found"),
    (("--format", "diffusers", "--prompt", "a {name}"), "--prompt must be a caption, in which"),
    (("--class", "ant"), "--class is an option of --what choices, found --what subset"),
    (("--what", "choices", "--class", "ants"), "must name a class of the run, found ants; did you"),
    (("--what", "choices"), "must end in .parquet, by which embedding-atlas knows what it opens"),
    (("--what", "choices", "--method", "randm"), "found randm; did you mean random?"),
    (("--method", "k_center"), "must be one of the run's subsets (geometry_aware, random), found"),
]


@pytest.mark.parametrize(("options", "message"), MISTAKES)
def test_a_mistake_ends_in_one_sentence(run, tmp_path, capsys, options, message):
    with pytest.raises(SystemExit) as ended:
        call("export", (run.store.root, "--output", str(tmp_path / "out"), *options))
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["image_folder", "parquet", "webdataset", "hf", "diffusers"])
def test_a_source_without_images_has_no_images_to_export(tmp_path, form):
    np.save(tmp_path / "features.npy", np.ones((2, 3), np.float32))
    np.save(tmp_path / "labels.npy", np.arange(2))
    source = SourceConfig(kind="features", path=str(tmp_path))
    ids = [record.image_id for record in list_images(source)]
    columns = {"image_id": ids, "class_name": ["0", "1"], "class_index": [0, 1], "rank": [0, 0]}
    manifest = pa.table({**columns, "sha256": ["0" * 64] * 2})
    config = ExportConfig(output=str(tmp_path / "new" / "out"), format=form)
    with pytest.raises(InputError, match=r"holds features and no images.*--no-images"):
        export_subset(manifest, source, config)
    if form == "hf":
        config = config.model_copy(update={"images": False})
        assert export_subset(manifest, source, config) == 2
