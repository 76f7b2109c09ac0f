import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets.fashion import (
    CLASSES,
    DIGESTS,
    PLACES,
    FashionConfig,
    find_files,
    is_written,
    original_files,
    write_fashion,
)
from otcondense.errors import InputError
from tests.generators.fashion import write_originals


@pytest.mark.parametrize("packed", [True, False])
def test_images_are_written_by_class_from_packed_and_unpacked_files(tmp_path, packed):
    digests = write_originals(tmp_path / "raw", packed=packed)
    config = FashionConfig(
        path=str(tmp_path / "images"),
        files=str(tmp_path / "raw"),
        source_images=2,
        held_out_images=1,
    )
    assert not is_written(config)
    assert len(original_files(config, digests)) == 4
    write_fashion(config, digests)
    assert is_written(config)
    names = {str(path.relative_to(tmp_path / "images")) for path in tmp_path.rglob("*.png")}
    expected = {f"train/{name}/{row:05d}.png" for row, name in enumerate(CLASSES)}
    expected |= {f"train/{name}/{row + 10:05d}.png" for row, name in enumerate(CLASSES)}
    expected |= {f"held_out/{name}/{row:05d}.png" for row, name in enumerate(CLASSES)}
    assert names == expected
    path = next((tmp_path / "raw").glob("train-images*"))
    content = gzip.decompress(path.read_bytes()) if packed else path.read_bytes()
    first = np.frombuffer(content, np.uint8, offset=16)[: 28 * 28].reshape(28, 28)
    with Image.open(tmp_path / "images/train/t-shirt/00000.png") as image:
        assert np.array_equal(np.asarray(image), first)


def test_other_images_in_the_same_format_are_refused(tmp_path):
    write_originals(tmp_path / "raw")
    config = FashionConfig(path=str(tmp_path / "images"), files=str(tmp_path / "raw"))
    for function in (original_files, write_fashion):
        with pytest.raises(InputError, match=f"unpacked SHA-256 {DIGESTS['train-images']}, found"):
            function(config)
    assert not (tmp_path / "images").exists()


@pytest.mark.parametrize("part", ["train-images-idx3", "t10k-labels-idx1"])
@pytest.mark.parametrize("damage", ["missing", "cut"])
def test_a_missing_or_damaged_file_is_named(tmp_path, part, damage):
    digests = write_originals(tmp_path / "raw")
    path = tmp_path / f"raw/{part}-ubyte.gz"
    whole = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    config = FashionConfig(path=str(tmp_path / "images"), files=str(tmp_path / "raw"))
    with pytest.raises(InputError, match="apt-get download dataset-fashion-mnist"):
        original_files(config, digests)


def test_torchvisions_folder_is_searched_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_originals(Path(PLACES[0]))
    assert find_files(None) == Path("data/FashionMNIST/raw")
