"""What is no usable image is listed as such or counted as ignored: nothing vanishes in silence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets import Listing, SourceConfig, read_image_bytes, scan_images
from otcondense.errors import InputError
from tests.generators.containers import IMAGE, png, write_tar

ROWS = [
    {"bytes": png(0), "path": "0.png"},
    {"bytes": None, "path": "pictures/1.png"},
    {"bytes": None, "path": "gone.png"},
    {"bytes": None, "path": "../secret.png"},
    {"bytes": None, "path": None},
    None,
    {"bytes": png(6), "path": None},
]
LABELS = [0, 0, 0, 0, 0, 1, 1]


def parquet(root: Path, rows: list[object], labels: list[int], **options: object) -> SourceConfig:
    table = pa.table({"image": pa.array(rows, IMAGE), "label": labels})
    pq.write_table(table, root / "a.parquet", **options)
    return SourceConfig(path=str(root), kind="parquet")


def saved(root: Path, rows: list[object], labels: list[int]) -> SourceConfig:
    batch = pa.record_batch({"image": pa.array(rows, IMAGE), "label": labels})
    with pa.ipc.new_stream(str(root / "a.arrow"), batch.schema) as writer:
        writer.write_batch(batch)
    (root / "dataset_info.json").write_text(json.dumps({}))
    return SourceConfig(path=str(root), kind="hf")


WRITERS: dict[str, Callable[..., SourceConfig]] = {
    "parquet": parquet,
    "parquet in groups of 2": lambda *given: parquet(*given, row_group_size=2),
    "saved": saved,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_row_without_bytes_is_read_by_its_path_or_unusable(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "data"
    (root / "pictures").mkdir(parents=True)
    (root / "pictures/1.png").write_bytes(png(1))
    (tmp_path / "secret.png").write_bytes(png(1))
    listing = scan_images(WRITERS[kind](root, ROWS, LABELS))
    found = [(int(each.image_id[-8:]), read_image_bytes(each.path)) for each in listing.records]
    assert found == [(0, png(0)), (1, png(1)), (6, png(6))]
    reasons = {int(each.image_id[-8:]): (each.class_name, each.reason) for each in listing.unusable}
    assert {row: label for row, (label, _) in reasons.items()} == {2: "0", 3: "0", 4: "0", 5: "1"}
    assert "there is no file 'gone.png'" in reasons[2][1]
    assert "'../secret.png' leads out of the source" in reasons[3][1]
    assert "has neither bytes nor a path" in reasons[4][1]
    assert "has neither bytes nor a path" in reasons[5][1]


@pytest.mark.parametrize("kind", WRITERS)
def test_a_class_without_any_usable_image_is_an_error(tmp_path: Path, kind: str) -> None:
    source = WRITERS[kind](tmp_path, [*ROWS[:1], *ROWS[4:6]], [0, 1, 1])
    message = "every class of .* found 1 without: 1 .*has neither bytes nor a path"
    with pytest.raises(InputError, match=message):
        scan_images(source)
    assert len(scan_images(source.model_copy(update={"classes": ("0",)}))) == 1


def test_rows_of_paths_without_a_path_are_unusable(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(1))
    table = pa.table({"image": ["1.png", None], "label": [0, 0]})
    pq.write_table(table, tmp_path / "a.parquet")
    listing = scan_images(SourceConfig(path=str(tmp_path), kind="parquet"))
    assert [record.image_id for record in listing.records] == ["1.png"]
    assert [each.image_id for each in listing.unusable] == ["a.parquet/00000001"]


EMPTY = {
    "no columns": pa.table({}),
    "no types": pa.table({"image": pa.nulls(0), "label": pa.nulls(0)}),
    "no rows": pa.table({"image": pa.array([], IMAGE), "label": pa.array([], pa.int64())}),
}


@pytest.mark.parametrize("form", EMPTY)
@pytest.mark.parametrize("kind", ["parquet", "features", "hf"])
def test_an_empty_shard_beside_good_ones_is_counted(tmp_path: Path, kind: str, form: str) -> None:
    if kind == "hf":
        source = saved(tmp_path, ROWS[:1], [0])
        with pa.ipc.new_stream(str(tmp_path / "b.arrow"), EMPTY[form].schema):
            pass
        name = "b.arrow"
    else:
        features = pa.array([[1.0]])
        table = pa.table({"image": pa.array([png(1)]), "label": [0], "features": features})
        pq.write_table(table, tmp_path / "a.parquet")
        pq.write_table(EMPTY[form], tmp_path / "b.parquet")
        source = SourceConfig(path=str(tmp_path), kind=kind)
        name = "b.parquet"
    listing = scan_images(source)
    assert (len(listing), list(listing.ignored)) == (1, [name])


@pytest.mark.parametrize(
    "kind", [pa.null(), pa.struct([("bytes", pa.null()), ("path", pa.null())])]
)
def test_a_shard_of_images_without_a_type_is_unusable_row_by_row(
    tmp_path: Path, kind: pa.DataType
) -> None:
    parquet(tmp_path, ROWS[:1], [0])
    nothing = pa.table({"image": pa.nulls(2, kind), "label": [0, 0]})
    pq.write_table(nothing, tmp_path / "b.parquet")
    listing = scan_images(SourceConfig(path=str(tmp_path), kind="parquet"))
    assert len(listing) == 1
    assert [each.image_id for each in listing.unusable] == [
        "b.parquet/00000000",
        "b.parquet/00000001",
    ]


def tar(root: Path, members: dict[str, bytes]) -> Listing:
    write_tar(root / "0.tar", members)
    return scan_images(SourceConfig(path=str(root), kind="webdataset"))


@pytest.mark.parametrize("suffix", ["jp2", "HEIC", "jxl"])
@pytest.mark.parametrize("label", ["cls", "folder"])
def test_an_image_of_a_suffix_that_is_not_read_is_unusable(
    tmp_path: Path, suffix: str, label: str
) -> None:
    start = "" if label == "cls" else "0/"
    members = {f"{start}1.png": png(1), f"{start}2.{suffix}": b"x"}
    if label == "cls":
        members |= {"1.cls": b"0", "2.cls": b"0"}
    listing = tar(tmp_path, members)
    (lost,) = listing.unusable
    assert (len(listing), lost.image_id) == (1, f"0.tar/{start}2.{suffix}")
    assert f"images with the suffix .{suffix.lower()} are not read" in lost.reason


def test_a_second_form_of_an_image_is_ignored_and_counted(tmp_path: Path) -> None:
    listing = tar(tmp_path, {"1.png": png(1), "1.jp2": b"x", "1.cls": b"0"})
    assert (len(listing), list(listing.ignored)) == (1, ["0.tar/1.jp2"])


def test_all_other_members_of_a_tar_are_counted(tmp_path: Path) -> None:
    members = {"1.png": png(1), "1.cls": b"0", "1.txt": b"a cat", ".hidden.png": b"x", "2.npy": b""}
    listing = tar(tmp_path, members)
    assert list(listing.ignored) == ["0.tar/.hidden.png", "0.tar/1.txt", "0.tar/2.npy"]


def test_an_empty_tar_is_counted(tmp_path: Path) -> None:
    write_tar(tmp_path / "1.tar", {})
    assert list(tar(tmp_path, {"1.png": png(1), "1.cls": b"0"}).ignored) == ["1.tar"]


def test_a_shard_that_is_a_link_to_nothing_is_refused(tmp_path: Path) -> None:
    for name in ("1.tar", "2.tar", "notes.txt"):
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"found 2 links to none: 1\.tar is a symbolic link"):
        tar(tmp_path, {"1.png": png(1), "1.cls": b"0"})


def test_other_links_beside_shards_are_counted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "again").symlink_to(tmp_path)
    listing = tar(tmp_path, {"1.png": png(1), "1.cls": b"0"})
    assert list(listing.ignored) == ["again", "notes.txt"]
    assert repr(listing.ignored) == "['again', 'notes.txt']"


def test_sizes_of_images_named_by_paths_are_those_of_their_files(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(png(1))
    table = pa.table({"image": ["1.png", "gone.png"], "label": [0, 0], "id": ["x", "y"]})
    pq.write_table(table, tmp_path / "a.parquet")
    source = SourceConfig(path=str(tmp_path), kind="parquet", id_column="id")
    listing = scan_images(source)
    np.testing.assert_array_equal(listing.numbers("size_bytes"), [len(png(1)), 0])
    assert read_image_bytes(listing.records[0].path) == png(1)
