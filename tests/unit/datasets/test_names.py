"""Names of classes and ids of images: one rule for every source, checked before any work."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from otcondense.datasets import SourceConfig, list_images, order_classes, scan_images
from otcondense.datasets.names import LONGEST_NAME, check_class_name, check_given_name
from otcondense.errors import InputError
from otcondense.store import class_file, selection_file
from tests.generators.containers import png, write_saved, write_tar

BAD_CLASSES = {
    "245 bytes": "x" * 245,
    "255 bytes": "é" * 127 + "x",
    "backslash": "a\\b",
    "line break": "a\nb",
    "escape": "a\x1b[31mb",
    "line separator": "a\u2028b",
    "slash": "a/b",
    "dots": "..",
    "empty": "",
    "5000 digits": "9" * 5000,
}
"""Class names that a later stage could not use."""
NO_FOLDER = ("slash", "dots", "empty", "5000 digits")
"""Those that no folder of a file system can have."""


def folder(root: Path, name: str) -> SourceConfig:
    (root / name).mkdir(parents=True)
    (root / name / "1.png").write_bytes(png(1))
    return SourceConfig(path=str(root))


def tar(root: Path, name: str) -> SourceConfig:
    write_tar(root / "a.tar", {"1.png": png(1), "1.cls": name.encode()})
    return SourceConfig(path=str(root), kind="webdataset")


def tar_folder(root: Path, name: str) -> SourceConfig:
    write_tar(root / "a.tar", {f"{name}/1.png": png(1)})
    return SourceConfig(path=str(root), kind="webdataset")


def parquet(root: Path, name: str) -> SourceConfig:
    root.mkdir()
    pq.write_table(pa.table({"image": [png(1)], "label": [name]}), root / "a.parquet")
    return SourceConfig(path=str(root), kind="parquet")


def class_list(root: Path, name: str) -> SourceConfig:
    (root / "images" / "a").mkdir(parents=True)
    (root / "images" / "a" / "1.png").write_bytes(png(1))
    (root / "names.txt").write_text(f"a\n{name}\n")
    return SourceConfig(path=str(root / "images"), class_names=str(root / "names.txt"))


def arrow(root: Path, name: str) -> SourceConfig:
    write_saved(root)
    info = '{"features": {"label": {"names": ["cat", "dog", %s]}}}'
    quoted = '"' + name.replace("\\", "\\\\").replace("\n", "\\n").replace("\x1b", "\\u001b") + '"'
    (root / "dataset_info.json").write_text(info % quoted)
    return SourceConfig(path=str(root), kind="hf")


def features(root: Path, name: str) -> SourceConfig:
    root.mkdir()
    np.save(root / "features.npy", np.ones((1, 2), np.float32))
    np.save(root / "labels.npy", np.array([name]))
    return SourceConfig(path=str(root), kind="features")


SOURCES: dict[str, Callable[[Path, str], SourceConfig]] = {
    "folder": folder,
    "tar": tar,
    "tar with folders": tar_folder,
    "parquet": parquet,
    "class list": class_list,
    "arrow": arrow,
    "features": features,
}


@pytest.mark.parametrize("bad", BAD_CLASSES)
@pytest.mark.parametrize("source", SOURCES)
def test_a_class_name_that_a_later_stage_cannot_use_is_refused(
    tmp_path: Path, source: str, bad: str
) -> None:
    if source in ("folder", "tar with folders") and bad in NO_FOLDER:
        pytest.skip("no folder has this name")
    if source == "class list" and bad == "line break":
        pytest.skip("two names")
    with pytest.raises(
        InputError, match=r"class name|plain|leads out|must have a label|at most 4096"
    ):
        scan_images(SOURCES[source](tmp_path / "data", BAD_CLASSES[bad]))


@pytest.mark.parametrize("source", SOURCES)
def test_the_longest_name_fits_every_directory_of_a_run(tmp_path: Path, source: str) -> None:
    name = "é" * (LONGEST_NAME // 2)
    listing = scan_images(SOURCES[source](tmp_path / "data", name))
    assert name in listing.classes
    for file in (class_file("features", name), selection_file("selection", name)):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).touch()


def test_a_name_one_byte_longer_fits_no_directory(tmp_path: Path) -> None:
    name = "x" * (LONGEST_NAME + 1)
    with pytest.raises(InputError, match="at most 244 bytes"):
        check_class_name(name, "here")
    with pytest.raises(OSError, match="too long"):
        (tmp_path / class_file("features", name)).parent.mkdir(parents=True)


@pytest.mark.parametrize("name", ["a\\b.png", "a\nb.png", "a\x1b[2Jb.png", "a\u2029.png"])
def test_an_image_name_that_training_would_refuse_is_refused_at_listing(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / name).write_bytes(png(1))
    with pytest.raises(InputError, match=r"found .* rename it"):
        list_images(SourceConfig(path=str(tmp_path)))


def test_a_file_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    os.close(os.open(os.fsencode(tmp_path / "cat") + b"/\xff.png", os.O_CREAT))
    with pytest.raises(InputError, match="not valid UTF-8"):
        list_images(SourceConfig(path=str(tmp_path)))
    write_tar(tmp_path / "a.tar", {"cat/\udcff.png": png(1)})
    with pytest.raises(InputError, match="valid Unicode"):
        list_images(SourceConfig(path=str(tmp_path / "a.tar"), kind="webdataset"))


def test_ids_are_checked_too(tmp_path: Path) -> None:
    columns = {"image": [png(1), png(2)], "label": ["a", "b"], "id": ["x\ty", "z"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="id of an image must be plain text"):
        list_images(SourceConfig(path=str(tmp_path), kind="parquet", id_column="id"))


def test_folders_that_are_too_deep_are_refused(tmp_path: Path) -> None:
    deep = tmp_path / "cat"
    for _ in range(120):
        deep /= "d"
    deep.mkdir(parents=True)
    with pytest.raises(InputError, match="at most 100 deep"):
        list_images(SourceConfig(path=str(tmp_path)))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["10", "9", "2"], ["2", "9", "10"]),
        (["1", "01", "001", "2"], ["001", "01", "1", "2"]),
        (["10", "9", "a"], ["10", "9", "a"]),
        (["9" * 6000, "1" * 5000], ["1" * 5000, "9" * 6000]),
        (["²", "1", "10", "9"], ["1", "10", "9", "²"]),
    ],
)
def test_whole_numbers_are_ordered_as_a_classifier_counts(
    names: list[str], expected: list[str]
) -> None:
    assert order_classes([*names, *names]) == expected


@pytest.mark.parametrize("kind", ["folder", "parquet", "tar"])
def test_class_indices_of_numeric_names_are_their_order(tmp_path: Path, kind: str) -> None:
    """A classifier whose output n means folder n; in text order, 10 of 12 would be wrong."""
    names = [str(number) for number in range(12)]
    if kind == "folder":
        for name in names:
            source = folder(tmp_path, name)
    elif kind == "parquet":
        columns = {"image": [png(1)] * 12, "label": names}
        pq.write_table(pa.table(columns), tmp_path / "a.parquet")
        source = SourceConfig(path=str(tmp_path), kind="parquet")
    else:
        write_tar(tmp_path / "a.tar", {f"{name}/1.png": png(1) for name in names})
        source = SourceConfig(path=str(tmp_path), kind="webdataset")
    records = list_images(source)
    assert {record.class_name: record.class_index for record in records} == {
        name: int(name) for name in names
    }


@pytest.mark.parametrize(
    "name", ["", " ", "a\nb", "a\tb", "\x1b[31m", "a\0b", "\ud800", "a\u2029b", "x" * 201]
)
def test_a_name_that_no_table_could_show_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="the name of a variant must be plain text"):
        check_given_name(name, "variant")


@pytest.mark.parametrize("name", ["名前, with comma", "kappa 1.2 (<b>)", '=1 "q"', "a/b", ".."])
def test_any_plain_text_is_a_name(name: str) -> None:
    check_given_name(name, "variant")


@pytest.mark.parametrize("name", ["a/b", "a\\b"])
def test_a_name_in_paths_has_no_separator(name: str) -> None:
    with pytest.raises(InputError, match="no slash"):
        check_given_name(name, "model", in_paths=True)
