import json
from pkgutil import resolve_name

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from otcondense.datasets import (
    SOURCES,
    SourceConfig,
    decode_image,
    image_locations,
    is_local_file,
    list_images,
    parquet_cells,
    read_image_bytes,
    scan_images,
)
from otcondense.datasets.tar_shards import scan_tar_shards
from otcondense.errors import InputError
from tests.generators.containers import (
    IMAGE,
    LABELS,
    png,
    table,
    write_manifest,
    write_parquet,
    write_path_parquet,
    write_saved,
    write_shards,
    write_tar,
)

CONTAINERS = {
    "structs": ("parquet", write_parquet),
    "bytes": ("parquet", lambda root: write_parquet(root, table(image=pa.binary()))),
    "names": (
        "parquet",
        lambda root: write_parquet(root, table((0, 1, 0, 2, 1, 0), names=("cat", "dog", "emu"))),
    ),
    "paths": ("parquet", write_path_parquet),
    "csv": ("manifest", write_manifest),
    "jsonl": ("manifest", lambda root: write_manifest(root, ".jsonl")),
    "cls": ("webdataset", lambda root: write_shards(root, "cls")),
    "json": ("webdataset", lambda root: write_shards(root, "json")),
    "folders": ("webdataset", lambda root: write_shards(root, "folder")),
    "saved": ("hf", write_saved),
    "saved large": ("hf", lambda root: write_saved(root, pa.large_binary())),
}


def test_every_kind_with_containers_is_tested():
    kinds = {
        kind for kind, each in SOURCES.items() if each.has_images and not each.images_are_files
    }
    assert {kind for kind, _ in CONTAINERS.values()} == kinds


@pytest.mark.parametrize("kind", SOURCES)
def test_the_functions_of_every_kind_exist(kind):
    source = SOURCES[kind]
    assert callable(resolve_name(source.scanner))
    assert source.reader is None or callable(resolve_name(source.reader.function))


def test_an_unknown_kind_is_refused_with_the_known_ones():
    known = "must be one of image_folder, one_class, parquet, webdataset"
    with pytest.raises(ValidationError, match=known):
        SourceConfig(path="x", kind="zip")


@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_the_same_labelled_images(tmp_path, name, remote):
    kind, write = CONTAINERS[name]
    path = str(write(tmp_path / "data"))
    if remote:
        memory = fsspec.filesystem("memory")
        memory.put(path, f"/{name}", recursive=True)
        path = f"memory://{name}"
    source = SourceConfig(path=path, kind=kind)
    listing = scan_images(source)
    assert listing.classes == ("cat", "dog", "emu")
    assert not listing.ignored
    assert len({record.image_id for record in listing.records}) == 6
    assert list(listing.records) == sorted(
        listing.records, key=lambda record: (record.class_index, record.image_id)
    )
    found = {read_image_bytes(record.path): record for record in listing.records}
    for number, label in enumerate(LABELS):
        record = found[png(number)]
        assert (record.class_name, record.class_index) == (label, listing.classes.index(label))
        assert image_locations(source, [record.image_id]) == [record.path]
        assert np.asarray(decode_image(png(number), channels=1, max_pixels=99))[0, 0] == 10 * number
        are_files = name in ("paths", "csv", "jsonl")
        assert is_local_file(record.path) == (are_files and not remote)


def test_one_file_is_a_source_too(tmp_path):
    write_parquet(tmp_path / "data")
    listing = scan_images(
        SourceConfig(path=str(tmp_path / "data/train-1.parquet"), kind="parquet", id_column="key")
    )
    assert [record.image_id for record in listing.records] == ["k/5", "k/4"]
    assert read_image_bytes(listing.records[0].path) == png(5)
    fsspec.filesystem("memory").put(str(tmp_path / "data"), "/one.parquet", recursive=True)
    for path in ("memory://one.parquet", "memory://one.parquet/train-1.parquet"):
        found = list_images(SourceConfig(path=path, kind="parquet", id_column="key"))
        assert {record.image_id for record in found} >= {"k/4", "k/5"}


def test_integer_labels_are_class_indices(tmp_path):
    source = SourceConfig(
        path=str(write_parquet(tmp_path / "data", table((10, 2, 2, 10, 2, 2)))),
        kind="parquet",
        classes=("10",),
    )
    listing = scan_images(source)
    assert len(listing.classes) == 11
    assert {(record.class_name, record.class_index) for record in listing.records} == {("10", 10)}
    names = tmp_path / "names.txt"
    names.write_text("".join(f"class {number}\n" for number in range(12)))
    renamed = scan_images(source.model_copy(update={"class_names": str(names), "classes": None}))
    assert {(record.class_name, record.class_index) for record in renamed.records} == {
        ("class 10", 10),
        ("class 2", 2),
    }
    assert len(renamed.classes) == 12


def test_a_part_of_the_classes_keeps_the_indices_of_all(tmp_path):
    """A folder with three of five wnids and a file of all five."""
    names = tmp_path / "wnids.txt"
    names.write_text("ant\ncat\ndog\nelk\nemu\n")
    for name, number in (("cat", 0), ("emu", 1), ("dog", 2)):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "x.png").write_bytes(png(number))
    source = SourceConfig(path=str(tmp_path / "images"), class_names=str(names))
    assert [(record.class_name, record.class_index) for record in list_images(source)] == [
        ("cat", 1),
        ("dog", 2),
        ("emu", 4),
    ]
    names.write_text("ant\ncat\ndog\n")
    with pytest.raises(InputError, match="missing there: emu"):
        list_images(source)


@pytest.mark.parametrize("image", [pa.binary(), pa.large_binary(), IMAGE], ids=str)
@pytest.mark.parametrize("order", ["forwards", "backwards", "mixed"])
def test_rows_of_a_large_row_group_are_read_through_a_window(tmp_path, monkeypatch, image, order):
    """A window of some rows moves on; a row before it starts the row group again."""
    monkeypatch.setattr("otcondense.datasets.parquet_cells.WINDOW_BYTES", 300)
    monkeypatch.setattr("otcondense.datasets.parquet_cells.BATCH_BYTES", 150)
    parquet_cells._window.cache_clear()
    columns = table(tuple(range(24)), image=image)
    pq.write_table(columns, tmp_path / "a.parquet", use_dictionary=False)
    records = list_images(SourceConfig(path=str(tmp_path), kind="parquet"))
    rows = {"forwards": range(24), "backwards": range(23, -1, -1), "mixed": (5, 20, 3, 4, 23, 0)}
    for row in rows[order]:
        assert read_image_bytes(records[row].path) == png(row)
    parquet_cells._window.cache_clear()


def test_a_rewritten_parquet_file_is_read_again(tmp_path):
    root = write_parquet(tmp_path / "data")
    record = list_images(SourceConfig(path=str(root), kind="parquet"))[0]
    first = read_image_bytes(record.path)
    write_parquet(root, table(("cat",) * 6).take(list(range(5, -1, -1))))
    assert read_image_bytes(record.path) != first


def test_a_container_is_scanned_again_only_when_it_changed(tmp_path, monkeypatch):
    root = write_shards(tmp_path / "data", "cls")
    source = SourceConfig(path=str(root), kind="webdataset")
    scans = []
    monkeypatch.setattr(
        "otcondense.datasets.tar_shards.scan_tar_shards",
        lambda each: scans.append(each) or scan_tar_shards(each),
    )
    assert list(list_images(source)) == list(list_images(source))
    assert len(scans) == 1
    write_tar(root / "shard-1.tar", {"9.png": png(9), "9.cls": b"emu"})
    assert [record.image_id for record in list_images(source)][-1] == "shard-1.tar/9.png"
    assert len(scans) == 2


def without_label(root):
    return "webdataset", write_tar(root / "a.tar", {"1.png": png(1)})


def label_without_image(root):
    return "webdataset", write_tar(root / "a.tar", {"1.png": png(1), "1.cls": b"0", "2.cls": b"1"})


def two_images(root):
    return "webdataset", write_tar(
        root / "a.tar", {"1.png": png(1), "1.jpg": png(1), "1.cls": b"0"}
    )


def climbing_name(root):
    return "webdataset", write_tar(root / "a.tar", {"../1.png": png(1)})


def bad_json(root):
    return "webdataset", write_tar(root / "a.tar", {"1.png": png(1), "1.json": b"{"})


def whole_tar(root):
    members = {}
    for number in range(6):
        members |= {f"{number}.png": png(number), f"{number}.cls": b"0"}
    return write_tar(root / "a.tar", members)


def changed_tar(change):
    """A tar of 6 images whose bytes are changed."""

    def write(root):
        path = whole_tar(root)
        path.write_bytes(change(path.read_bytes()))
        return "webdataset", root

    return write


def two_damaged(root):
    write_shards(root, "cls")
    for number in (1, 2):
        (root / f"shard-{number}.tar").write_bytes(b"no tar")
    return "webdataset", root


def cut_parquet(root):
    path = write_parquet(root) / "train-0.parquet"
    path.write_bytes(path.read_bytes()[:-20])
    return "parquet", root


def saved_split(root):
    write_saved(root / "train")
    return "hf", root


def cut_arrow(root):
    path = write_saved(root) / "data-00000-of-00002.arrow"
    path.write_bytes(path.read_bytes()[:300])
    return "hf", root


def path_out(root):
    write_path_parquet(root)
    pq.write_table(pa.table({"image": ["../secret.png"], "label": ["a"]}), root / "index.parquet")
    return "parquet", root


def parquet_with(**columns):
    def write(root):
        root.mkdir()
        pq.write_table(
            pa.table({"image": [png(1), png(2)], "label": [0, 1]} | columns), root / "a.parquet"
        )
        return "parquet", root

    return write


def damaged_pages(root):
    """The footer is whole, a page of the labels is damaged."""
    kind, _ = parquet_with()(root)
    column = pq.ParquetFile(root / "a.parquet").metadata.row_group(0).column(1)
    content = bytearray((root / "a.parquet").read_bytes())
    start = column.dictionary_page_offset or column.data_page_offset
    content[start : start + 8] = b"\xff" * 8
    (root / "a.parquet").write_bytes(bytes(content))
    return kind, root


def flipped(data, place):
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (without_label, r"key 1 of .*a\.tar must have a label"),
        (label_without_image, "key 2 of .* has a label and no image"),
        (two_images, "must have one image, found two for 1"),
        (climbing_name, "leads out of the archive"),
        (bad_json, "label of key 1 .* cannot be read"),
        (changed_tar(lambda data: data[:700]), "not a readable, uncompressed tar"),
        (changed_tar(lambda data: data[:4096]), "it ends at byte 4096, without the end"),
        (changed_tar(lambda data: flipped(data, 4196)), "the header at byte 4096 is damaged"),
        (changed_tar(lambda data: flipped(data, 100)), "not a readable, uncompressed tar"),
        (changed_tar(lambda data: data + b"x"), "there is more after its end, at byte 20480"),
        (changed_tar(lambda data: data * 2), "there is more after its end"),
        (changed_tar(lambda data: b""), "not a readable, uncompressed tar"),
        (two_damaged, "2 of 3 tar files are damaged: .*shard-1.*shard-2"),
        (cut_parquet, r"train-0\.parquet is not a readable Parquet file"),
        (saved_split, "found the splits train: set source.split"),
        (cut_arrow, "not a readable Arrow file"),
        (path_out, "relative path below"),
        (
            parquet_with(label=[0.5, 1.5]),
            r"must all be whole numbers or all be text, found 0\.5 for a\.parquet/00000000",
        ),
        (parquet_with(label=["a", None]), "found None for"),
        (parquet_with(label=[0, -1]), "must lie between 0 and 0, found -1"),
        (
            parquet_with(label=[0, 1_690_000_000]),
            r"class indices below 1000000, found 1690000000 for a\.parquet/00000001",
        ),
        (damaged_pages, r"a\.parquet is not a readable Parquet file"),
        (parquet_with(label=["a/b", "c"]), "usable as the name of a folder .*'a/b'"),
        (parquet_with(label=["..", "c"]), "usable as the name of a folder"),
        (
            parquet_with(image=[1, 2]),
            "must hold bytes, a struct with bytes, or paths as text, found int64",
        ),
        (lambda root: (parquet_with()(root)[0], root / "absent"), "found nothing there"),
        (
            lambda root: ("webdataset", write_parquet(root)),
            r"must be a \.tar file or hold such files .* found 2 others",
        ),
    ],
)
def test_a_bad_container_is_refused_by_name(tmp_path, write, message):
    kind, path = write(tmp_path / "data")
    with pytest.raises(InputError, match=f"(?s){message}"):
        list_images(SourceConfig(path=str(path), kind=kind))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"label_column": "lable"},
            "no column 'lable'; set source.label_column to one of its columns, such as label",
        ),
        ({"image_column": "img"}, "no column 'img'; set source.image_column"),
        ({"id_column": "label"}, "id of its own, found 2 more than once: cat, dog"),
        ({"classes": ("cta",)}, "class 'cta' is not in .*: cat"),
        ({"class_names": "absent.txt"}, "found nothing at absent.txt"),
    ],
)
def test_a_wrong_setting_is_refused_with_the_right_one(tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        list_images(
            SourceConfig(path=str(write_parquet(tmp_path / "data")), kind="parquet", **settings)
        )


def test_an_image_of_another_source_is_refused(tmp_path):
    with pytest.raises(InputError, match="has no image 'cat/1"):
        image_locations(
            SourceConfig(path=str(write_parquet(tmp_path / "data")), kind="parquet"), ["cat/1.png"]
        )


def test_a_file_that_shrank_is_an_error_not_a_short_image(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"1.png": png(1), "1.cls": b"0"})
    record = list_images(SourceConfig(path=str(path), kind="webdataset"))[0]
    path.write_bytes(path.read_bytes()[:520])
    with pytest.raises(OSError, match="ends before byte"):
        read_image_bytes(record.path)


def test_a_data_set_of_the_datasets_library_is_read(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["cat", "dog", "emu"])}
    )
    rows = {
        "image": [{"bytes": png(n), "path": None} for n in range(6)],
        "label": [0, 1, 0, 2, 1, 0],
    }
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(str(tmp_path / "saved"))
    found = list_images(SourceConfig(path=str(tmp_path / "saved"), kind="hf"))
    assert {(read_image_bytes(record.path), record.class_name) for record in found} == {
        (png(n), LABELS[n]) for n in range(6)
    }
    assert json.loads((tmp_path / "saved/dataset_info.json").read_text())["features"]["label"][
        "names"
    ] == ["cat", "dog", "emu"]
