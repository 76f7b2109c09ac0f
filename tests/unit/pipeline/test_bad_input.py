"""Unusual images are used, or quarantined with the reason; unusual folders are read."""

import io
import shutil
import zlib

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from otcondense.datasets import SourceConfig, decode_image, list_images, readings
from otcondense.encoders import EncoderConfig
from otcondense.errors import InputError
from otcondense.store import Store, read_class_features, read_table
from pipeline.extract import extract_features
from pipeline.extraction_config import ExtractionConfig
from tests.generators.containers import (
    LABELS,
    write_manifest,
    write_parquet,
    write_saved,
    write_shards,
)

HERE = ExtractionConfig(num_encoders=0)
PICTURE = np.random.default_rng(0).integers(0, 256, (24, 36, 3), dtype=np.uint8)


def encoded(mode="RGB", form="JPEG", **options):
    sink = io.BytesIO()
    Image.fromarray(PICTURE).convert(mode).save(sink, form, **options)
    return sink.getvalue()


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(exif=exif)


def bomb():
    data = bytearray(encoded(form="PNG"))
    data[16:24] = (30_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    return bytes(data)


USED = {
    "cmyk.JPEG": (encoded("CMYK"), (36, 24)),
    "grey.JPEG": (encoded("L"), (36, 24)),
    "png-by-content.JPEG": (encoded(form="PNG"), (36, 24)),
    "jpeg-by-content.png": (encoded(), (36, 24)),
    "turned.jpg": (turned(), (24, 36)),
    "été 図.webp": (encoded(form="WEBP"), (36, 24)),
}
LOST = {
    "zero.jpg": (b"", "the file is empty"),
    "truncated.jpg": (encoded()[:400], "damaged|not an image"),
    "text.jpg": (b"<html>not found</html>", "not an image of a known format"),
    "bomb.png": (bomb(), "pixels"),
    "locked.jpg": (encoded(), "cannot be read: Permission denied"),
    "vanished.jpg": (encoded(), "cannot be read: No such file or directory"),
}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False, num_classes=0).state_dict(), path)
    return EncoderConfig(
        name="test_resnet",
        weights=str(path),
        image_size=32,
        num_classes=0,
        batch_size=4,
        device="cpu",
    )


@pytest.fixture
def locked(monkeypatch):
    """Refuse to read by name: a test that runs as root may read everything."""
    read = readings.read_image_bytes

    def refuse(path):
        if "locked" in path:
            raise PermissionError(13, "Permission denied")
        if "vanished" in path:
            raise FileNotFoundError(2, "No such file or directory")
        return read(path)

    monkeypatch.setattr(readings, "read_image_bytes", refuse)


def test_each_odd_file_is_used_or_quarantined_with_its_reason(tmp_path, encoder, locked):
    folder = tmp_path / "images" / "n01440764"
    folder.mkdir(parents=True)
    for name, (data, _) in (USED | LOST).items():
        (folder / name).write_bytes(data)
    source = SourceConfig(path=str(tmp_path / "images"), max_lost_share=0.6)
    result = extract_features(str(tmp_path / "run"), "features", source, encoder, HERE, "stage")
    assert (result.num_images, result.num_quarantined) == (len(USED), len(LOST))
    store = Store(str(tmp_path / "run"))
    found = read_class_features(store, "features", "n01440764")
    sizes = dict(
        zip(
            found.image_ids,
            zip(found.width.tolist(), found.height.tolist(), strict=True),
            strict=True,
        )
    )
    assert sizes == {f"n01440764/{name}": size for name, (_, size) in USED.items()}
    lost = {
        row["image_id"].split("/")[1]: row["reason"]
        for row in read_table(store, "features/_quarantine.parquet").to_pylist()
    }
    assert lost.keys() == LOST.keys()
    for name, (_, reason) in LOST.items():
        assert any(part in lost[name] for part in reason.split("|")), name


def test_the_same_picture_in_every_colour_mode_is_nearly_the_same(encoder):
    spec = encoder.input_spec()
    smooth = Image.fromarray(PICTURE).resize((6, 4)).resize((64, 64))
    pixels = {}
    for mode in ("RGB", "CMYK"):
        sink = io.BytesIO()
        smooth.convert(mode).save(sink, "JPEG", quality=95)
        pixels[mode] = spec.pixels(
            decode_image(sink.getvalue(), channels=3, max_pixels=10_000)
        ).int()
    assert (pixels["RGB"] - pixels["CMYK"]).abs().float().mean() < 4


def test_wnids_are_indexed_in_sorted_order_whatever_the_disk_says(tmp_path):
    for name in ("n02", "n10", "n01", "N03"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.JPEG").write_bytes(encoded())
    assert [record.class_name for record in list_images(SourceConfig(path=str(tmp_path)))] == [
        "N03",
        "n01",
        "n02",
        "n10",
    ]


@pytest.mark.parametrize("kind", ["parquet", "webdataset", "hf", "manifest"])
def test_containers_give_the_features_of_the_folder(tmp_path, encoder, kind):
    """Class by class the same rows, widths and content digests, whatever holds the images."""
    write = {
        "parquet": write_parquet,
        "webdataset": lambda root: write_shards(root, "cls"),
        "hf": write_saved,
        "manifest": write_manifest,
    }[kind]
    source = SourceConfig(path=str(write(tmp_path / "data")), kind=kind)
    extract_features(str(tmp_path / "run"), "features", source, encoder, HERE, "stage")
    folder = tmp_path / "folder"
    shards = write_shards(tmp_path / "again", "folder")
    for number, label in enumerate(LABELS):
        (folder / label).mkdir(parents=True, exist_ok=True)
        record = next(
            each
            for each in list_images(SourceConfig(path=str(shards), kind="webdataset"))
            if f"{number:03d}" in each.image_id
        )
        (folder / label / f"{number}.png").write_bytes(readings.read_image_bytes(record.path))
    extract_features(
        str(tmp_path / "other"), "features", SourceConfig(path=str(folder)), encoder, HERE, "stage"
    )
    for label in set(LABELS):
        ours = read_class_features(Store(str(tmp_path / "run")), "features", label)
        theirs = read_class_features(Store(str(tmp_path / "other")), "features", label)
        assert ours.sha256 == theirs.sha256
        assert ours.width.tolist() == theirs.width.tolist() == [4] * ours.size
        np.testing.assert_array_equal(ours.features, theirs.features)


def test_a_damaged_cell_is_quarantined_not_the_file(tmp_path, encoder):
    root = write_shards(tmp_path / "data", "cls")
    path = root / "shard-0.tar"
    data = bytearray(path.read_bytes())
    record = list_images(SourceConfig(path=str(root), kind="webdataset"))[0]
    start = int(record.path.split(":")[1].split("+")[0])
    data[start : start + 20] = b"\0" * 20
    path.write_bytes(data)
    source = SourceConfig(path=str(root), kind="webdataset", max_lost_share=0.5)
    result = extract_features(str(tmp_path / "run"), "features", source, encoder, HERE, "stage")
    assert (result.num_images, result.num_quarantined) == (5, 1)
    shutil.rmtree(root)
    with pytest.raises(InputError, match="found nothing there"):
        list_images(source)
