"""Holding out a part of a source by a hash of the ids, and folders of one class."""

from pathlib import Path

import pytest
from PIL import Image

from otcondense.datasets import SourceConfig, read_image_bytes, scan_images
from otcondense.datasets.hold_out import num_held_out
from otcondense.errors import InputError

SIZES = {"a": 60, "b": 20, "rare": 19}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("photos")
    for name, count in SIZES.items():
        (root / name).mkdir()
        for number in range(count):
            Image.new("L", (2, 2), number).save(root / name / f"{number}.png")
    return root


def ids(folder: Path, part: str | None, **settings: object) -> set[str]:
    share = None if part is None else 0.1
    values = {"path": str(folder), "part": part, "held_out_share": share, **settings}
    listing = scan_images(SourceConfig.model_validate(values))
    return {record.image_id for record in listing.records}


def test_the_parts_share_no_image_and_miss_none(folder: Path) -> None:
    rest, held_out = ids(folder, "rest"), ids(folder, "held_out")
    assert not rest & held_out
    assert rest | held_out == ids(folder, None)
    counts = {name: sum(each.startswith(f"{name}/") for each in held_out) for name in SIZES}
    assert counts == {"a": 6, "b": 5, "rare": 0}


def test_a_class_has_the_same_images_held_out_beside_other_classes(folder: Path) -> None:
    alone = ids(folder, "held_out", classes=("a",))
    assert alone == {each for each in ids(folder, "held_out") if each.startswith("a/")}
    first = {f"a/{number}.png" for number in range(6)}
    assert alone != first, "the first names are not a fair choice"


@pytest.mark.parametrize(("size", "count"), [(19, 0), (20, 5), (60, 6), (1000, 100)])
def test_a_class_gives_a_tenth_and_small_ones_nothing(size: int, count: int) -> None:
    assert num_held_out(size, 0.1) == count


def test_nothing_can_be_held_out_of_small_classes_alone(folder: Path) -> None:
    with pytest.raises(InputError, match=r"class of at least 20 images, found at most 19"):
        ids(folder, "held_out", classes=("rare",))
    assert len(ids(folder, "rest", classes=("rare",))) == 19


def test_part_and_share_are_set_together(folder: Path) -> None:
    with pytest.raises(ValueError, match="part and held_out_share must be set together"):
        SourceConfig(path=str(folder), part="rest")


def test_a_source_without_a_part_has_the_identity_of_earlier_versions(folder: Path) -> None:
    known = {"path", "kind", "classes", "class_names", "max_pixels"}
    assert set(SourceConfig(path=str(folder)).identity()) == known


def test_a_folder_of_images_is_one_class(tmp_path: Path) -> None:
    root = tmp_path / "Fotos aus Köln"
    (root / "Tag 1").mkdir(parents=True)
    for name in ("b.png", "Tag 1/a.PNG", ".hidden.png"):
        Image.new("L", (2, 2)).save(root / name)
    (root / "notes.txt").write_text("no image")
    (root / "x.heic").write_bytes(b"x")
    listing = scan_images(SourceConfig(path=str(root), kind="one_class"))
    assert listing.sizes == {"Fotos aus Köln": 2}
    assert [record.image_id for record in listing.records] == ["Tag 1/a.PNG", "b.png"]
    assert [each.image_id for each in listing.unusable] == ["x.heic"]
    assert list(listing.ignored) == [".hidden.png", "notes.txt"]
    assert read_image_bytes(listing.records[0].path) == (root / "Tag 1/a.PNG").read_bytes()


def test_a_folder_without_images_is_no_class(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(InputError, match=r"must hold images .* found 1 other file"):
        scan_images(SourceConfig(path=str(tmp_path), kind="one_class"))
