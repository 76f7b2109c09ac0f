"""Images with other times and the same content are the same; other content is found and redone."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from otcondense.datasets import SourceConfig, list_images, scan_images
from otcondense.datasets.wanted import WantedImage, read_wanted
from otcondense.encoders import EncoderConfig, TrainEncoderConfig, train_encoder
from otcondense.errors import InputError
from otcondense.store import Store, read_class_features, stored_metadata
from pipeline.classifier_check import worse_than_chance
from pipeline.extract import ExtractionResult, extract_features
from pipeline.extraction_config import ExtractionConfig
from tests.generators.containers import write_parquet

HERE = ExtractionConfig(num_encoders=0)
DAY = 86_400


@pytest.fixture
def encoder(tmp_path: Path) -> EncoderConfig:
    torch.manual_seed(0)
    path = tmp_path / "encoder.safetensors"
    save_file(timm.create_model("test_resnet", pretrained=False, num_classes=2).state_dict(), path)
    return EncoderConfig(
        name="test_resnet",
        weights=str(path),
        image_size=32,
        num_classes=2,
        batch_size=4,
        device="cpu",
    )


@pytest.fixture
def source(tmp_path: Path) -> SourceConfig:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        for number in range(5):
            pixels = rng.integers(0, 256, (12, 12, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.bmp")
        (folder / "broken.png").write_bytes(b"broken")
    return SourceConfig(path=str(tmp_path / "images"), max_lost_share=0.5)


def extract(tmp_path: Path, source: SourceConfig, encoder: EncoderConfig) -> ExtractionResult:
    return extract_features(str(tmp_path / "run"), "features", source, encoder, HERE, "stage")


def contents(root: Path) -> dict[str, bytes]:
    store = Store(str(root))
    names = [name for name in store.list() if not name.startswith("logs/")]
    return {name: store.read_bytes(name) for name in names}


def touch(root: Path) -> None:
    for path in root.rglob("*.*"):
        os.utime(path, (DAY, DAY))


def copied(root: Path) -> None:
    """As `cp` without `-p` does."""
    shutil.move(root, root.with_name("before"))
    shutil.copytree(root.with_name("before"), root, copy_function=shutil.copyfile)


@pytest.mark.parametrize("renew", [touch, copied])
def test_images_with_other_times_are_not_encoded_again(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig, renew
) -> None:
    first = extract(tmp_path, source, encoder)
    assert (first.classes_done, first.num_quarantined) == (2, 2)
    digests = [content_digest(tmp_path, name) for name in ("cat", "dog")]
    renew(Path(source.path))

    second = extract(tmp_path, source, encoder)
    assert (second.classes_done, second.classes_skipped, second.classes_recognised) == (0, 2, 2)
    assert second.num_quarantined == 2
    assert [content_digest(tmp_path, name) for name in ("cat", "dog")] == digests
    third = extract(tmp_path, source, encoder)
    assert (third.classes_skipped, third.classes_recognised) == (2, 0), "the images are read once"

    shutil.rmtree(tmp_path / "run" / "features")
    kept = contents(tmp_path / "run")
    extract(tmp_path, source, encoder)
    shutil.move(tmp_path / "run", tmp_path / "fresh")
    assert not kept
    # A recognised class has the bytes of one that is encoded anew.
    extract(tmp_path, source, encoder)
    assert contents(tmp_path / "run") == contents(tmp_path / "fresh")


def content_digest(tmp_path: Path, name: str) -> str:
    metadata = stored_metadata(
        Store(str(tmp_path / "run")), f"features/class_name={name}/part-0.parquet"
    )
    assert metadata is not None
    return str(metadata["content"])


def change_one(root: Path) -> None:
    path = root / "cat" / "3.bmp"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def repair_one(root: Path) -> None:
    shutil.copyfile(root / "cat" / "3.bmp", root / "cat" / "broken.png")


def remove_one(root: Path) -> None:
    (root / "cat" / "3.bmp").unlink()


@pytest.mark.parametrize("change", [change_one, repair_one, remove_one])
def test_only_the_class_of_a_changed_image_is_encoded_again(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig, change
) -> None:
    extract(tmp_path, source, encoder)
    touch(Path(source.path))
    change(Path(source.path))
    again = extract(tmp_path, source, encoder)
    assert (again.classes_done, again.classes_recognised) == (1, 1)


def test_other_weights_are_other_inputs(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig
) -> None:
    extract(tmp_path, source, encoder)
    touch(Path(source.path))
    torch.manual_seed(1)
    model = timm.create_model("test_resnet", pretrained=False, num_classes=2)
    save_file(model.state_dict(), encoder.weights)
    again = extract(tmp_path, source, encoder)
    assert (again.classes_done, again.classes_recognised) == (2, 0)


def test_a_touched_parquet_file_is_recognised(tmp_path: Path, encoder: EncoderConfig) -> None:
    root = write_parquet(tmp_path / "data")
    source = SourceConfig(path=str(root), kind="parquet")
    three = encoder.model_copy(update={"num_classes": 0})
    assert extract(tmp_path, source, three).classes_done == 3
    touch(root)
    assert extract(tmp_path, source, three).classes_recognised == 3


def rot(path: Path) -> None:
    """Flip a bit; size and times stay."""
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_the_advice_about_a_rotten_image_works(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig
) -> None:
    """Size and time are as before, so only the advised command makes the extraction look again."""
    extract(tmp_path, source, encoder)
    store = Store(str(tmp_path / "run"))
    features = read_class_features(store, "features", "cat")
    (record,) = (each for each in list_images(source) if each.image_id == "cat/3.bmp")
    sha256 = features.sha256[features.image_ids.index("cat/3.bmp")]
    wanted = WantedImage("cat/3.bmp", 0, record.path, sha256)
    assert read_wanted(wanted)

    rot(Path(record.path))
    with pytest.raises(InputError, match="has changed since its features") as refused:
        read_wanted(wanted)
    assert extract(tmp_path, source, encoder).classes_done == 0

    command = str(refused.value).split("`")[1]
    assert command.startswith("touch ")
    subprocess.run(command, shell=True, check=True)
    assert extract(tmp_path, source, encoder).classes_done == 1
    found = read_class_features(store, "features", "cat")
    assert found.sha256[found.image_ids.index("cat/3.bmp")] != sha256


def test_an_encoder_is_not_trained_again_for_other_times(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("cat", "dog"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "images" / name / f"{number}.png")
    source = SourceConfig(path=str(tmp_path / "images"))
    config = EncoderConfig(
        name="test_resnet",
        weights=str(tmp_path / "w.safetensors"),
        image_size=32,
        num_classes=2,
        device="cpu",
        train=TrainEncoderConfig(epochs=1, batch_size=4),
    )
    assert not train_encoder(scan_images(source), config).skipped
    touch(Path(source.path))
    assert train_encoder(scan_images(source), config).skipped
    record = (tmp_path / "w.safetensors.json").read_bytes()
    assert train_encoder(scan_images(source), config).skipped
    assert (tmp_path / "w.safetensors.json").read_bytes() == record
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "images/cat/0.png")
    assert not train_encoder(scan_images(source), config).skipped


def test_a_classifier_in_another_order_is_reported(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig
) -> None:
    """Outputs that name the wrong class have a cross-entropy far above chance."""
    for shift, expected in ((30.0, ["dog"]), (0.0, None)):
        model = timm.create_model("test_resnet", pretrained=False, num_classes=2)
        state = model.state_dict()
        state["fc.weight"].zero_()
        state["fc.bias"].copy_(torch.tensor([shift, 0.0]))
        save_file(state, encoder.weights)
        extract(tmp_path, source, encoder)
        found = worse_than_chance(Store(str(tmp_path / "run")), "features", ["cat", "dog"], 2)
        assert (None if found is None else found.names) == expected
        if found is not None:
            assert found.largest == pytest.approx(30, abs=0.1)
            assert found.chance == pytest.approx(np.log(2))


def test_an_image_that_was_repaired_with_its_old_time_is_used(
    tmp_path: Path, source: SourceConfig, encoder: EncoderConfig
) -> None:
    """As from a backup; before, it has the same size too, as after a flipped bit."""
    image = Path(source.path) / "cat" / "0.bmp"
    content, time = image.read_bytes(), image.stat().st_mtime_ns
    image.write_bytes(b"X" + content[1:])
    os.utime(image, ns=(time, time))
    assert extract(tmp_path, source, encoder).num_quarantined == 3

    image.write_bytes(content)
    os.utime(image, ns=(time, time))
    again = extract(tmp_path, source, encoder)
    assert (again.num_quarantined, again.classes_done, again.classes_skipped) == (2, 1, 1)
