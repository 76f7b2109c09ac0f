from pathlib import Path

import pytest

from otcondense.datasets.fashion import (
    DIGESTS,
    FashionConfig,
    is_written,
    original_files,
    write_fashion,
)
from otcondense.errors import InputError
from tests.generators.fashion import write_originals


def config(folder: Path) -> FashionConfig:
    return FashionConfig(
        path=str(folder / "images"), files=str(folder / "raw"), source_images=2, held_out_images=1
    )


@pytest.mark.parametrize("packed", [True, False])
def test_digests_are_those_of_the_unpacked_files(tmp_path, packed):
    digests = write_originals(tmp_path / "raw", packed=packed)
    assert len(original_files(config(tmp_path), digests)) == 4
    assert not is_written(config(tmp_path))
    write_fashion(config(tmp_path), digests)
    assert is_written(config(tmp_path))
    assert len(list((tmp_path / "images").rglob("*.png"))) == 30


def test_other_images_in_the_same_format_are_refused(tmp_path):
    write_originals(tmp_path / "raw")
    with pytest.raises(InputError, match=f"with the SHA-256 {DIGESTS['train-images']} "):
        original_files(config(tmp_path))
    with pytest.raises(InputError, match=f"with the SHA-256 {DIGESTS['train-images']} "):
        write_fashion(config(tmp_path), DIGESTS)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("part", ["train-images-idx3", "t10k-labels-idx1"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_missing_or_damaged_file_is_named_with_the_commands(tmp_path, part, damage):
    digests = write_originals(tmp_path / "raw")
    path = tmp_path / f"raw/{part}-ubyte.gz"
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="apt-get download dataset-fashion-mnist"):
        original_files(config(tmp_path), digests)
