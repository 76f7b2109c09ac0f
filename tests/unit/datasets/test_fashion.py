import gzip
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from otcondense.datasets import FashionConfig, SourceConfig, list_images, write_fashion
from otcondense.datasets import fashion as module
from otcondense.errors import InputError

PER_CLASS = {"train": 4, "t10k": 3}


def idx(array, dtype=8):
    """Return an array as an idx file."""
    header = bytes([0, 0, dtype, array.ndim])
    return header + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def write_originals(folder, *, packed=True):
    """Write the four original files with a few made-up images of every class."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    images = {}
    for part, per_class in PER_CLASS.items():
        labels = generator.permutation(np.repeat(np.arange(10), per_class))
        images[part] = generator.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
        contents = {"images-idx3-ubyte": images[part], "labels-idx1-ubyte": labels}
        for name, array in contents.items():
            path = folder / f"{part}-{name}"
            if packed:
                path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(idx(array), 1))
            else:
                path.write_bytes(idx(array))
    return images


def config(tmp_path, **changes):
    settings = {"source_images": 2, "held_out_images": 1, **changes}
    return FashionConfig(path=str(tmp_path / "out"), files=str(tmp_path / "originals"), **settings)


@pytest.mark.parametrize("packed", [True, False])
def test_first_images_of_each_class_are_written_with_their_pixels(tmp_path, packed):
    images = write_originals(tmp_path / "originals", packed=packed)
    write_fashion(config(tmp_path))
    for split, part, count in (("train", "train", 2), ("held_out", "t10k", 1)):
        records = list_images(SourceConfig(path=str(tmp_path / "out" / split)))
        sizes = np.bincount([record.class_index for record in records])
        assert sizes.tolist() == [count] * 10
        for record in records:
            row = int(Path(record.path).stem)
            np.testing.assert_array_equal(np.asarray(Image.open(record.path)), images[part][row])


def test_packed_and_plain_files_give_the_same_folder(tmp_path):
    for name in ("a", "b"):
        write_originals(tmp_path / name / "originals", packed=name == "a")
        write_fashion(config(tmp_path / name))
    files = sorted(
        path.relative_to(tmp_path / "a" / "out") for path in (tmp_path / "a/out").rglob("*.*")
    )
    assert len(files) == 31
    for name in files:
        first, second = ((tmp_path / each / "out" / name).read_bytes() for each in ("a", "b"))
        assert first == second


def test_damaged_image_is_written_again(tmp_path):
    write_originals(tmp_path / "originals")
    write_fashion(config(tmp_path))
    victim = sorted((tmp_path / "out").rglob("*.png"))[0]
    before = victim.read_bytes()
    victim.write_bytes(before[:40])
    write_fashion(config(tmp_path))
    assert victim.read_bytes() == before


def test_other_numbers_of_images_are_refused(tmp_path):
    write_originals(tmp_path / "originals")
    write_fashion(config(tmp_path))
    with pytest.raises(InputError, match="Fashion-MNIST of other settings"):
        write_fashion(config(tmp_path, source_images=3))


def test_files_are_found_where_torchvision_puts_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_originals(tmp_path / "data" / "FashionMNIST" / "raw", packed=False)
    assert module.find_files(None) == Path("data/FashionMNIST/raw")


@pytest.mark.parametrize("files", ["~no-such-user/files", "part", ""])
def test_a_place_without_all_files_is_named(tmp_path, monkeypatch, files):
    monkeypatch.chdir(tmp_path)
    write_originals(tmp_path / "part")
    for path in (tmp_path / "part").glob("t10k-images*"):
        path.unlink()
    with pytest.raises(InputError, match=f"not found together in {files}; set fashion.files"):
        module.find_files(files)


def test_missing_files_are_named_with_the_ways_to_get_them(tmp_path):
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte.gz.*dataset-fashion-mnist"):
        write_fashion(config(tmp_path))
    assert not (tmp_path / "out").exists()


FAULTS = {
    "cut gzip": lambda data: data[: len(data) // 2],
    "no gzip": lambda _: b"not packed",
    "cut array": lambda data: gzip.compress(gzip.decompress(data)[:-7], 1),
    "other type": lambda data: gzip.compress(b"\0\0\x0d" + gzip.decompress(data)[3:], 1),
    "empty": lambda _: gzip.compress(b""),
    "no dimensions": lambda _: gzip.compress(idx(np.zeros((), np.uint8))),
    "too few images": lambda _: gzip.compress(idx(np.zeros((2, 28, 28)))),
    "huge sizes": lambda _: gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_damaged_original_is_a_sentence_and_nothing_is_written(tmp_path, fault):
    write_originals(tmp_path / "originals")
    path = tmp_path / "originals" / "train-images-idx3-ubyte.gz"
    path.write_bytes(FAULTS[fault](path.read_bytes()))
    with pytest.raises(InputError, match=r"fetch (it|them) again"):
        write_fashion(config(tmp_path))
    assert not (tmp_path / "out").exists()


def test_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    write_originals(tmp_path / "originals")
    monkeypatch.setattr(module, "FILE_BYTES", 2**14)
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as stream:
        stream.write(bytes(2**20))
    (tmp_path / "originals" / "train-images-idx3-ubyte.gz").write_bytes(bomb.getvalue())
    with pytest.raises(InputError, match="must have at most"):
        write_fashion(config(tmp_path))
