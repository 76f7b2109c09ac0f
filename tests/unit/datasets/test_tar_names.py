"""Keys of WebDataset with dots: every image is listed, or the file is refused by name."""

import json
from pathlib import Path

import pytest

from otcondense.datasets import Listing, SourceConfig, read_image_bytes, scan_images
from otcondense.errors import InputError
from tests.generators.containers import png, write_tar

COUNT = 6
HALF = [".v2" * (number % 2) for number in range(COUNT)]


def with_labels(suffix: str, form: str = "{n:04d}{dot}", part: str = "jpg") -> dict[str, bytes]:
    members = {}
    for number in range(COUNT):
        key = form.format(n=number, dot=HALF[number])
        label: object = number // 3
        content = str(label) if suffix.lower() == ".cls" else json.dumps({"label": label})
        members[f"{key}.{part}"] = png(number)
        members[f"{key}{suffix}"] = content.encode()
    return members


def in_folders(form: str) -> dict[str, bytes]:
    return {form.format(n=n, dot=HALF[n]): png(n) for n in range(COUNT)}


def named_part() -> dict[str, bytes]:
    members = {}
    for number in range(COUNT):
        members[f"{number}.image.jpg"] = png(number)
        members[f"{number}.cls"] = b"1"
    return members


CASES = {
    "plain": with_labels(".cls", "{n:04d}"),
    "half the keys have a dot, cls": with_labels(".cls"),
    "half the keys have a dot, json": with_labels(".json"),
    "several dots": with_labels(".cls", "a.{n}.b{dot}"),
    "upper case": with_labels(".CLS", "{n}", "JPG"),
    "a dot in a folder": with_labels(".cls", "v1.5/{n}{dot}"),
    "folders, half the names have a dot": in_folders("cat/{n}{dot}.jpg"),
    "folders, all names have a dot": in_folders("cat/{n}.v2.jpg"),
    "folders, one key": in_folders("cat/IMG_1.{n}.jpg"),
    "a named part": named_part(),
    "avif": in_folders("cat/{n}.avif"),
}


def listing(root: Path, members: dict[str, bytes]) -> Listing:
    write_tar(root / "0.tar", members)
    return scan_images(SourceConfig(path=str(root), kind="webdataset"))


@pytest.mark.parametrize("case", CASES)
def test_every_image_is_listed_with_its_label(tmp_path: Path, case: str) -> None:
    found = listing(tmp_path, CASES[case])
    assert not found.ignored
    images = {record.image_id: read_image_bytes(record.path) for record in found.records}
    wanted = {name: data for name, data in CASES[case].items() if data.startswith(b"\x89PNG")}
    assert images == {f"0.tar/{name}": data for name, data in wanted.items()}
    if "dot" in case and "folder" not in case:
        assert [record.class_index for record in found.records] == [0, 0, 0, 1, 1, 1]


def test_a_further_picture_of_a_sample_is_ignored_and_counted(tmp_path: Path) -> None:
    """A segmentation beside each image, as many data sets have it."""
    members = {}
    for number in range(3):
        members[f"{number}.jpg"] = png(number)
        members[f"{number}.seg.png"] = png(number)
        members[f"{number}.cls"] = b"0"
    found = listing(tmp_path, members)
    assert [record.image_id for record in found.records] == [f"0.tar/{n}.jpg" for n in range(3)]
    assert list(found.ignored) == [f"0.tar/{n}.seg.png" for n in range(3)]


def test_a_label_of_two_images_is_refused(tmp_path: Path) -> None:
    members = {"1.a.jpg": png(1), "1.b.jpg": png(2), "1.cls": b"0"}
    with pytest.raises(InputError, match=r"two for 1: 1\.a\.jpg and 1\.b\.jpg"):
        listing(tmp_path, members)
