import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from otcondense.datasets import SourceConfig, list_images, write_digits
from otcondense.errors import InputError


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digits"
    write_digits(root)
    return root


def tree_hash(root):
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    return hashlib.sha256(
        b"".join(str(path.relative_to(root)).encode() + path.read_bytes() for path in files)
    ).hexdigest()


def test_split_holds_every_digit_once(digits):
    records = [
        record
        for split in ("train", "held_out")
        for record in list_images(SourceConfig(path=str(digits / split)))
    ]
    assert sorted(int(Path(record.path).stem) for record in records) == list(range(1797))
    assert [
        len(list_images(SourceConfig(path=str(digits / split)))) for split in ("train", "held_out")
    ] == [1400, 397]


def test_pixels_and_labels_are_those_of_scikit_learn(digits):
    data = load_digits()
    for record in list_images(SourceConfig(path=str(digits / "train")))[::50]:
        row = int(Path(record.path).stem)
        assert record.class_index == data.target[row]
        np.testing.assert_array_equal(
            np.round(np.asarray(Image.open(record.path), dtype=float) * 16 / 255), data.images[row]
        )


def test_split_is_stratified(digits):
    held_out = list_images(SourceConfig(path=str(digits / "held_out")))
    counts = np.bincount([record.class_index for record in held_out])
    np.testing.assert_allclose(counts, np.bincount(load_digits().target) * 397 / 1797, atol=1)


def test_second_call_writes_nothing_and_copies_are_equal(digits, tmp_path):
    before = [(path, path.stat().st_ino) for path in sorted(digits.rglob("*"))]
    write_digits(digits)
    assert before == [(path, path.stat().st_ino) for path in sorted(digits.rglob("*"))]
    write_digits(tmp_path / "copy")
    assert tree_hash(tmp_path / "copy") == tree_hash(digits)
    assert {
        record.mtime_ns for record in list_images(SourceConfig(path=str(digits / "train")))
    } == {0}


def test_missing_files_are_written_again(digits, tmp_path):
    write_digits(tmp_path / "copy")
    next((tmp_path / "copy" / "train" / "3").iterdir()).unlink()
    write_digits(tmp_path / "copy")
    assert tree_hash(tmp_path / "copy") == tree_hash(digits)


def emptied(path):
    path.write_bytes(b"")


def flipped(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swapped(path):
    other = path.parent.parent / "4"
    path.write_bytes(next(other.iterdir()).read_bytes())


def missing(path):
    path.unlink()


@pytest.mark.parametrize("damage", [emptied, flipped, swapped, missing])
@pytest.mark.parametrize("marker", ["whole", "damaged", "of an earlier version"])
def test_damaged_digits_are_written_again(digits, tmp_path, damage, marker):
    """What the workflow writes, it verifies: results would differ without a word."""
    root = tmp_path / "digits"
    shutil.copytree(digits, root)
    before = tree_hash(root)
    damage(sorted((root / "train" / "3").iterdir())[2])
    if marker == "damaged":
        (root / "digits.json").write_bytes((root / "digits.json").read_bytes()[:-9])
    if marker == "of an earlier version":
        counts = {"train": 1400, "held_out": 397}
        (root / "digits.json").write_text(
            json.dumps({"held_out_share": 0.221, "seed": 0, "counts": counts})
        )
    write_digits(root)
    assert tree_hash(root) == before
    times = {path.stat().st_mtime for path in root.rglob("*.png")}
    assert times == {0.0}, "every copy of the data has the same fingerprint"


def test_a_flipped_bit_in_the_marker_is_repaired(tmp_path):
    write_digits(tmp_path / "digits")
    before = tree_hash(tmp_path / "digits")
    marker = tmp_path / "digits" / "digits.json"
    text = marker.read_text().replace('"seed": 0', '"seed": 1')
    marker.write_text(text)
    write_digits(tmp_path / "digits")
    assert tree_hash(tmp_path / "digits") == before


def test_images_that_others_added_are_named_and_kept(tmp_path):
    write_digits(tmp_path / "digits")
    mine = tmp_path / "digits" / "train" / "3" / "mine.png"
    mine.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"found 1 other images: train/3/mine\.png; move them"):
        write_digits(tmp_path / "digits")
    assert mine.read_bytes() == b"mine"


def test_other_files_and_other_splits_are_not_overwritten(digits, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="found other files"):
        write_digits(tmp_path)
    with pytest.raises(
        InputError, match=r"holds digits of other settings .* choose another folder"
    ):
        write_digits(digits, seed=1)
    with pytest.raises(InputError, match="between 0 and 1"):
        write_digits(tmp_path / "x", held_out_share=1.0)
    assert (tmp_path / "mine.txt").read_text() == "x"
