"""Captions of every kind of source, sources without labels, and captions that cannot be used."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets import SOURCES, SourceConfig, scan_images, write_captions
from otcondense.datasets.captions import LONGEST
from otcondense.datasets.stored_captions import captions_of, read_captions
from otcondense.errors import InputError
from otcondense.store import Store
from tests.generators.captioned import CAPTIONS, LABELS, LAYOUTS, columns, write_images
from tests.generators.containers import png, write_tar

EACH = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def source_of(layout, root, **settings):
    return SourceConfig(
        **{"path": str(root), "kind": layout.kind, "captions": layout.captions, **settings}
    )


def written(layout, root, texts=CAPTIONS, **settings):
    root.mkdir(exist_ok=True)
    layout.write(root, texts)
    return source_of(layout, root, **settings)


def found(listing):
    """Captions by the number in the id, or in the order of the ids."""
    pairs = zip(listing.table["image_id"].to_pylist(), listing.captions.to_pylist(), strict=True)
    return [caption for _, caption in sorted(pairs, key=lambda pair: order(pair[0]))]


def order(image_id):
    """Sort b.parquet/0 after a.parquet/2, and dog/1.png before cat/2.png."""
    stem, _, last = image_id.rpartition("/")
    number = int(last.partition(".")[0])
    return (stem.endswith("b.parquet"), number)


def test_every_kind_of_source_is_tried():
    assert {layout.kind for layout in LAYOUTS.values()} == set(SOURCES)


@EACH
def test_every_image_has_its_caption(tmp_path, layout):
    listing = scan_images(written(layout, tmp_path / "images"))
    assert found(listing) == list(CAPTIONS)
    assert not listing.unusable


@EACH
def test_labels_are_those_without_captions(tmp_path, layout):
    source = written(layout, tmp_path / "images")
    plain = scan_images(source.model_copy(update={"captions": None}))
    assert scan_images(source).table.equals(plain.table)
    assert plain.captions is None


@EACH
def test_without_labels_all_images_are_of_one_class(tmp_path, layout):
    source = written(layout, tmp_path / "my photos", label_column=None)
    listing = scan_images(source)
    assert listing.sizes == {"my photos": len(CAPTIONS)}
    assert found(listing) == list(CAPTIONS)


@EACH
def test_no_labels_need_not_be_there(tmp_path, layout):
    source = written(layout, tmp_path / "photos", label_column=None, captions=None)
    for path in (tmp_path / "photos").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns("label"), path)
    (tmp_path / "photos" / "labels.npy").unlink(missing_ok=True)
    assert scan_images(source).sizes == {"photos": len(CAPTIONS)}


@EACH
@pytest.mark.parametrize(
    ("caption", "reason"),
    [
        (None, "has no caption"),
        ("", "has no caption"),
        (" \n\t", "has no caption"),
        ("x" * (LONGEST + 1), f"has a caption of more than {LONGEST} characters"),
    ],
)
def test_an_image_without_a_usable_caption_is_listed_with_the_reason(
    tmp_path, layout, caption, reason
):
    captions = [*CAPTIONS[:3], caption, *CAPTIONS[4:]]
    listing = scan_images(written(layout, tmp_path / "images", captions))
    assert [each.reason for each in listing.unusable] == [reason]
    assert len(listing) == len(CAPTIONS) - 1
    assert found(listing) == [each for each in captions if each is not caption]


@EACH
def test_the_longest_caption_is_kept(tmp_path, layout):
    captions = ["é" * LONGEST, *CAPTIONS[1:]]
    assert found(scan_images(written(layout, tmp_path / "images", captions))) == captions


@EACH
def test_a_part_of_a_source_has_its_captions(tmp_path, layout):
    captions = [f"caption {number}" for number in range(60)]
    source = written(layout, tmp_path / "images", captions)
    both = []
    for part in ("rest", "held_out"):
        update = {"part": part, "held_out_share": 0.3}
        listing = scan_images(source.model_copy(update=update))
        both += found(listing)
        assert 0 < len(listing) < len(captions)
    assert sorted(both) == sorted(captions)


@EACH
def test_the_table_is_sorted_and_the_same_each_time(tmp_path, layout):
    listing = scan_images(written(layout, tmp_path / "images"))
    contents = []
    for name in ("a", "b"):
        store = Store(str(tmp_path / name))
        write_captions(store, "captions.parquet", listing)
        contents.append(store.read_bytes("captions.parquet"))
    assert contents[0] == contents[1]
    table = read_captions(Store(str(tmp_path / "a")), "captions.parquet")
    assert table.column_names == ["image_id", "caption"]
    ids = table["image_id"].to_pylist()
    assert ids == sorted(listing.table["image_id"].to_pylist())
    wanted = pa.array(ids[::-2])
    store = Store(str(tmp_path / "a"))
    expected = dict(zip(ids, table["caption"].to_pylist(), strict=True))
    assert captions_of(store, "captions.parquet", wanted).to_pylist() == [
        expected[each] for each in ids[::-2]
    ]


def test_an_image_without_a_stored_caption_is_named(tmp_path):
    store = Store(str(tmp_path / "run"))
    write_captions(store, "c", scan_images(written(LAYOUTS["parquet"], tmp_path / "images")))
    with pytest.raises(InputError, match="found none for 'other'"):
        captions_of(store, "c", pa.array(["other"]))


def test_a_row_group_has_65536_rows(tmp_path):
    count = 70_000
    np.save(tmp_path / "features.npy", np.zeros((count, 1), np.float32))
    np.save(tmp_path / "text.npy", np.full(count, "a caption"))
    source = SourceConfig(path=str(tmp_path), kind="features", captions="text", label_column=None)
    store = Store(str(tmp_path / "run"))
    write_captions(store, "captions.parquet", scan_images(source))
    with store.open("captions.parquet") as file:
        metadata = pq.ParquetFile(file).metadata
    assert [metadata.row_group(each).num_rows for each in range(2)] == [65_536, count - 65_536]


@pytest.mark.parametrize("layout", ["webdataset txt", "image_folder txt"])
def test_a_caption_that_is_no_text_is_listed(tmp_path, layout):
    captions = [b"\xff\xfe", *CAPTIONS[1:]]
    listing = scan_images(written(LAYOUTS[layout], tmp_path / "images", captions))
    assert [each.reason for each in listing.unusable] == ["has a caption that is not text in UTF-8"]


def test_numbers_in_place_of_captions_are_listed(tmp_path):
    captions = [7, *CAPTIONS[1:]]
    for name in ("webdataset json", "manifest jsonl", "image_folder jsonl"):
        listing = scan_images(written(LAYOUTS[name], tmp_path / name, captions))
        assert [each.reason for each in listing.unusable] == [
            "has a caption that is not text in UTF-8"
        ]


def test_two_captions_that_differ_are_listed(tmp_path):
    folder = tmp_path / "folder"
    source = written(LAYOUTS["image_folder txt"], folder)
    (folder / "cat" / "0.TXT").write_text("another")
    listing = scan_images(source)
    assert [(each.image_id, each.reason) for each in listing.unusable] == [
        ("cat/0.png", "has two captions that differ")
    ]
    table = tmp_path / "table"
    source = written(LAYOUTS["image_folder jsonl"], table)
    with (table / "metadata.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"file_name": "cat/0.png", "text": "another"}))
        file.write("\n" + json.dumps({"file_name": "dog/1.png", "text": CAPTIONS[1]}))
    assert [each.image_id for each in scan_images(source).unusable] == ["cat/0.png"]
    members = {"0.png": png(0), "0.txt": b"one", "0.TXT": b"two", "1.png": png(1), "1.txt": b"x"}
    write_tar(tmp_path / "tar" / "a.tar", members)
    source = SourceConfig(
        path=str(tmp_path / "tar"), kind="webdataset", captions="txt", label_column=None
    )
    assert [each.image_id for each in scan_images(source).unusable] == ["a.tar/0.png"]


def test_captions_without_images_are_counted(tmp_path):
    members = {"0.png": png(0), "0.txt": b"one", "1.txt": b"nothing here"}
    write_tar(tmp_path / "a.tar", members)
    source = SourceConfig(path=str(tmp_path), kind="webdataset", captions="txt", label_column=None)
    assert list(scan_images(source).ignored) == ["a.tar/1 (a caption)"]


@EACH
def test_captions_are_no_ignored_files(tmp_path, layout):
    assert not [
        name
        for name in scan_images(written(layout, tmp_path / "images")).ignored
        if name.endswith((".txt", "metadata.csv", "metadata.jsonl"))
    ]


@pytest.mark.parametrize(
    ("name", "captions", "message"),
    [
        ("parquet", "caption", "no column 'caption'; set source.captions .* text"),
        ("hf", "caption", "no column 'caption'; set source.captions"),
        ("manifest csv", "caption", "no column 'caption'; set source.captions"),
        ("manifest jsonl", "caption", "no column 'caption'; set source.captions"),
        ("features", "caption", "no column 'caption'; set source.captions"),
        ("features npy", "caption", r"must hold caption\.npy and features\.npy and labels\.npy"),
        ("parquet", "image", "must hold captions .* found struct"),
        ("webdataset json", "json:caption", "found 2 without: cat, dog .*has no caption"),
        ("webdataset json", "txt", "has no caption"),
        ("image_folder jsonl", "txt", r"found no file NAME\.txt"),
        ("image_folder txt", "metadata.jsonl", r"found no metadata\.jsonl"),
        ("image_folder jsonl", "metadata.jsonl:caption", "no column 'caption'"),
    ],
)
def test_captions_that_are_not_there_are_named(tmp_path, name, captions, message):
    source = written(LAYOUTS[name], tmp_path / "images", captions=captions)
    with pytest.raises(InputError, match=message):
        scan_images(source)


def test_a_table_of_other_images_is_refused(tmp_path):
    write_images(tmp_path, CAPTIONS)
    (tmp_path / "metadata.jsonl").write_text('{"file_name": "0.png", "text": "x"}')
    source = SourceConfig(path=str(tmp_path), captions="metadata.jsonl")
    with pytest.raises(InputError, match=r"found 0\.png and none of them"):
        scan_images(source)


def test_a_text_that_is_repeated_without_end_is_refused(tmp_path):
    rows = 20_000
    index = pa.array(np.zeros(rows, np.int32))
    texts = pa.DictionaryArray.from_arrays(index, pa.array(["x" * LONGEST]))
    images = pa.array([b"x"] * rows)
    pq.write_table(pa.table({"image": images, "text": texts}), tmp_path / "a.parquet")
    source = SourceConfig(path=str(tmp_path), kind="parquet", captions="text", label_column=None)
    with pytest.raises(InputError, match="must hold about as much as it takes"):
        scan_images(source)


@pytest.mark.parametrize("kind", ["webdataset", "image_folder", "one_class"])
@pytest.mark.parametrize("captions", ["caption", "json:", "metadata.json", ""])
def test_a_place_that_there_is_not_is_refused(kind, captions):
    with pytest.raises(ValueError, match=f"captions of kind {kind} must be"):
        SourceConfig(path="x", kind=kind, captions=captions)


def test_identities_of_sources_without_captions_are_those_of_before():
    assert "captions" not in SourceConfig(path="x", kind="parquet").identity()
    source = SourceConfig(path="x", kind="parquet", captions="text")
    assert source.identity()["captions"] == "text"
    assert SourceConfig(path="x", label_column=None).kind == "one_class"


def test_labels_decide_nothing_without_a_label_column(tmp_path):
    table = columns(CAPTIONS)
    pq.write_table(table.append_column("other", pa.array(LABELS)), tmp_path / "a.parquet")
    source = SourceConfig(path=str(tmp_path), kind="parquet", label_column=None)
    assert source.identity()["label_column"] is None
    assert scan_images(source).classes == (tmp_path.name,)
