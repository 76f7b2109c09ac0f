"""Where a source is: a file, a folder, a pattern, a list or a store; and one split of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.registry import _registry, register_implementation
from pydantic import ValidationError

from otcondense.datasets import SourceConfig, image_locations, read_image_bytes, scan_images
from otcondense.datasets.records import common_folder
from otcondense.errors import InputError
from tests.generators.containers import png, write_saved, write_tar

SHARDS = (
    "data/train-00000-of-00002.parquet",
    "data/train-00001-of-00002.parquet",
    "data/test-00000-of-00001.parquet",
)


def shard(path: Path, number: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"image": [png(number)], "label": [0], "features": [[float(number)]]})
    pq.write_table(table, path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(SHARDS):
        shard(tmp_path / name, number)
    (tmp_path / "README.md").write_text("x")
    return tmp_path


def pictures(source: SourceConfig) -> list[bytes]:
    return [read_image_bytes(record.path) for record in scan_images(source).records]


TRAIN = [png(0), png(1)]


@pytest.mark.parametrize(
    "path",
    [
        "{root}/data/train-*.parquet",
        "{root}/*/train-0000?-of-00002.parquet",
        "{root}/**/train*.parquet",
        ["{root}/data/train-00001-of-00002.parquet", "{root}/data/train-00000-of-00002.parquet"],
        ["{root}/data/train-*0-*.parquet", "{root}/data/train-*1-*.parquet"],
    ],
    ids=str,
)
@pytest.mark.parametrize("store", ["local", "memory", "hf"])
def test_a_pattern_or_a_list_names_the_files(root: Path, path: Any, store: str) -> None:
    place = str(root)
    if store != "local":
        place = f"{store}://{root.name}"
        fsspec.filesystem(store).put(f"{root}/", f"/{root.name}/", recursive=True)
    filled = [each.format(root=place) for each in ([path] if isinstance(path, str) else path)]
    given: Any = filled[0] if isinstance(path, str) else filled
    source = SourceConfig.model_validate({"path": given, "kind": "parquet"})
    assert pictures(source) == TRAIN
    ids = [record.image_id for record in scan_images(source).records]
    assert all(each.split("/")[-2].startswith("train-") for each in ids)
    assert [read_image_bytes(each) for each in image_locations(source, ids)] == TRAIN
    assert SourceConfig.model_validate(source.model_dump(mode="json")) == source


class Hub(MemoryFileSystem):
    """A store in memory under another scheme."""

    protocol = ("hf",)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return MemoryFileSystem._strip_protocol(path.replace("hf://", "memory://"))


@pytest.fixture(autouse=True)
def hub() -> Iterator[None]:
    """Hugging Face's address with files in memory: the real one is found by fsspec's registry."""
    register_implementation("hf", Hub, clobber=True)
    yield
    _registry.pop("hf", None)


def test_an_address_of_the_hub_is_opened_by_its_own_package() -> None:
    _registry.pop("hf", None)
    found = fsspec.get_filesystem_class("hf")
    assert found.__module__.startswith("huggingface_hub")


def test_a_data_set_of_the_hub_is_a_folder(root: Path) -> None:
    fsspec.filesystem("hf").put(f"{root}/", "/datasets/ORG/NAME/", recursive=True)
    source = SourceConfig(path="hf://datasets/ORG/NAME", kind="parquet", split="train")
    assert pictures(source) == TRAIN
    with pytest.raises(InputError, match=r"test \(1 files\), train \(2 files\)"):
        scan_images(source.model_copy(update={"split": None}))


@pytest.mark.parametrize("kind", ["parquet", "features"])
@pytest.mark.parametrize("store", ["local", "memory"])
def test_a_folder_of_several_splits_is_refused_with_two_ways_on(
    root: Path, kind: str, store: str
) -> None:
    path = str(root)
    if store == "memory":
        path = f"memory://{root.name}"
        fsspec.filesystem("memory").put(f"{root}/", f"/{root.name}/", recursive=True)
    source = SourceConfig(path=path, kind=kind)
    with pytest.raises(InputError, match=r"one split, found .*source\.split=train.*train-\*'"):
        scan_images(source)
    chosen = scan_images(source.model_copy(update={"split": "train"}))
    assert len(chosen) == 2
    assert list(chosen.ignored) == ["README.md", SHARDS[2]]
    assert len(scan_images(source.model_copy(update={"split": "test"}))) == 1
    with pytest.raises(InputError, match=r"source\.split=val must be .* splits test, train"):
        scan_images(source.model_copy(update={"split": "val"}))


@pytest.mark.parametrize(
    ("names", "split", "count"),
    [
        (("train.tar", "val.tar"), "validation", 1),
        (("imagenet-train-000.tar", "imagenet_train_001.tar", "imagenet-test-000.tar"), "train", 2),
        (("train/0.tar", "train/1.tar", "dev/0.tar"), "val", 1),
        (("Train/0.tar", "TEST/0.tar"), "train", 1),
        (("train-0.tar", "unlabeled-0.tar", "test-0.tar"), "unlabeled", 1),
    ],
)
def test_splits_are_read_from_names(
    tmp_path: Path, names: tuple[str, ...], split: str, count: int
) -> None:
    for number, name in enumerate(names):
        write_tar(tmp_path / name, {"1.png": png(number), "1.cls": b"0"})
    source = SourceConfig(path=str(tmp_path), kind="webdataset")
    with pytest.raises(InputError, match="must hold one split"):
        scan_images(source)
    assert len(scan_images(source.model_copy(update={"split": split}))) == count


@pytest.mark.parametrize(
    "names", [("trainer.tar", "contest.tar"), ("train-0.tar", "extra.tar"), ("0.tar", "1.tar")]
)
def test_names_without_several_splits_are_one_source(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    for number, name in enumerate(names):
        write_tar(tmp_path / name, {"1.png": png(number), "1.cls": b"0"})
    assert len(scan_images(SourceConfig(path=str(tmp_path), kind="webdataset"))) == 2


def image_folders(root: Path) -> SourceConfig:
    for number, name in enumerate(("train/cat", "train/dog", "val/cat", "val/dog")):
        (root / name).mkdir(parents=True)
        (root / name / "1.png").write_bytes(png(number))
    return SourceConfig(path=str(root))


def test_a_folder_of_splits_is_no_image_folder(tmp_path: Path) -> None:
    source = image_folders(tmp_path)
    with pytest.raises(InputError, match=r"splits train, val, .* source\.split=train"):
        scan_images(source)
    train = source.model_copy(update={"split": "train"})
    assert scan_images(train).classes == ("cat", "dog")
    assert pictures(train) == TRAIN
    assert image_locations(train, ["cat/1.png"]) == [str(tmp_path / "train/cat/1.png")]
    named = source.model_copy(update={"classes": ("train",)})
    assert scan_images(named).classes == ("train", "val")


def test_classes_with_the_names_of_splits_are_classes(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png(1))
    assert scan_images(SourceConfig(path=str(tmp_path))).classes == ("test", "train")


def test_a_split_of_a_saved_data_set_is_its_folder(tmp_path: Path) -> None:
    write_saved(tmp_path / "train")
    write_saved(tmp_path / "test")
    source = SourceConfig(path=str(tmp_path), kind="hf", split="train")
    assert len(scan_images(source)) == 6
    with pytest.raises(InputError, match=r"found the splits test, train: set source\.split"):
        scan_images(source.model_copy(update={"split": None}))


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("{root}/data/none-*.parquet", "must name files, found none at .*none-"),
        (["{root}/data/absent.parquet"], "must name files, found none at .*absent"),
        (["memory://a/absent.parquet"], "must name files, found none at .*absent"),
        ("{root}/*.md", r"must be a \.parquet file or hold such files"),
    ],
)
def test_a_pattern_of_no_file_is_refused(root: Path, path: Any, message: str) -> None:
    paths = [each.format(root=root) for each in ([path] if isinstance(path, str) else path)]
    filled = paths[0] if isinstance(path, str) else paths
    with pytest.raises(InputError, match=message):
        scan_images(SourceConfig.model_validate({"path": filled, "kind": "parquet"}))


@pytest.mark.parametrize("kind", ["image_folder", "hf"])
def test_kinds_that_are_folders_take_no_list(tmp_path: Path, kind: str) -> None:
    values = {"path": [str(tmp_path / "a"), str(tmp_path / "b")], "kind": kind}
    (tmp_path / "a").touch()
    (tmp_path / "b").touch()
    with pytest.raises(InputError, match=r"must be a folder .*, found a list of 2 files"):
        scan_images(SourceConfig.model_validate(values))


def test_a_name_with_brackets_is_no_pattern(tmp_path: Path) -> None:
    shard(tmp_path / "set [1]" / "a.parquet", 0)
    source = SourceConfig(path=str(tmp_path / "set [1]"), kind="parquet")
    assert pictures(source) == [png(0)]


@pytest.mark.parametrize("path", [[], [""], [1], ["a", None]])
def test_a_list_of_anything_else_is_refused(path: Any) -> None:
    with pytest.raises(ValidationError, match="list of texts that is not empty"):
        SourceConfig.model_validate({"path": path, "kind": "parquet"})


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["/a/b/1.tar", "/a/c/2.tar"], "/a"),
        (["/1.tar", "/a/2.tar"], "/"),
        (["a/1.tar", "b/2.tar"], "."),
        (["s3://x/a/1.tar", "s3://x/b*/2.tar"], "s3://x"),
        (["/a/*/1.tar"], "/a"),
        (["1.tar"], "."),
    ],
)
def test_the_common_folder_of_a_list(paths: list[str], folder: str) -> None:
    assert common_folder(paths) == folder


def test_settings_that_are_not_set_do_not_change_the_identity(tmp_path: Path) -> None:
    plain = SourceConfig(path=str(tmp_path), kind="parquet")
    assert not {"split", "shards"} & set(plain.identity())
    assert plain.model_copy(update={"split": "train"}).identity()["split"] == "train"


def test_a_changed_file_of_a_pattern_is_listed_again(root: Path) -> None:
    source = SourceConfig(path=f"{root}/data/train-*.parquet", kind="parquet")
    before = scan_images(source)
    shard(root / "data/train-00002.parquet", 5)
    after = scan_images(source)
    assert (len(before), len(after)) == (2, 3)
    assert np.all(after.numbers("file") == [0, 1, 2])
