"""Classes of held-out images, by the numbers that the source gives them."""

from pathlib import Path

import numpy as np
import pytest
import timm
from PIL import Image
from safetensors.torch import save_file

from jobs.evaluate.stage import note_copies
from jobs.judging.evaluation import Evaluation
from jobs.judging.run_images import HeldOutImages
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run


def test_classes_keep_the_numbers_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "names").write_text("a\nb\nc\n")
    for split, names in (("train", "bc"), ("held_out", "bcd")):
        for name in names:
            (tmp_path / split / name).mkdir(parents=True)
            Image.new("L", (4, 4)).save(tmp_path / split / name / "0.png")
    source = {"path": str(tmp_path / "train"), "class_names": str(tmp_path / "names")}
    run = Run(
        RunConfig.model_validate(
            {
                "run": str(tmp_path / "run"),
                "source": source,
                "held_out": {"path": str(tmp_path / "held_out")},
            }
        )
    )
    images = HeldOutImages(run)
    # The list of names has classes that are not in this part of the data set.
    assert images.class_names == {1: "b", 2: "c"}
    assert images.classes.tolist() == [1, 2, -1]


def test_held_out_images_that_are_there_twice_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(0)
    for split in ("train", "held_out"):
        (tmp_path / split / "a").mkdir(parents=True)
        for number in range(4):
            pixels = rng.integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / split / "a" / f"{number}.png")
    for number in range(3):
        image = tmp_path / "held_out" / "a" / f"{number}.png"
        image.with_name(f"copy-{number}.png").write_bytes(image.read_bytes())
    model = timm.create_model("test_resnet", pretrained=False, num_classes=2, in_chans=1)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    encoder = {
        "name": "test_resnet",
        "weights": str(tmp_path / "w.safetensors"),
        "image_size": 32,
        "in_chans": 1,
        "num_classes": 2,
        "device": "cpu",
    }
    values = {
        "run": str(tmp_path / "run"),
        "source": {"path": str(tmp_path / "train")},
        "held_out": {"path": str(tmp_path / "held_out")},
        "encoder": encoder,
        "pixels": {"size": 8, "channels": 1},
    }
    note_copies(Evaluation(Run(RunConfig.model_validate(values))))
    assert "3 of 7 are copies of another one" in capsys.readouterr().out
