import hashlib
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


def test_other_files_and_other_splits_are_not_overwritten(digits, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="found other files"):
        write_digits(tmp_path)
    with pytest.raises(InputError, match="remove it or choose another folder"):
        write_digits(digits, seed=1)
    with pytest.raises(InputError, match="between 0 and 1"):
        write_digits(tmp_path / "x", held_out_share=1.0)
    assert (tmp_path / "mine.txt").read_text() == "x"
