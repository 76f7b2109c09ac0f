"""What the extraction tells its user besides the counts."""

from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from jobs.extract_features.stage import extract
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from tests.generators.containers import png


@pytest.fixture
def run(tmp_path: Path) -> Run:
    for number, name in enumerate(("cat", "dog", "emu")):
        (tmp_path / "images" / name).mkdir(parents=True)
        (tmp_path / "images" / name / "1.png").write_bytes(png(number))
    torch.manual_seed(0)
    state = timm.create_model("test_resnet", pretrained=False, num_classes=3).state_dict()
    state["fc.weight"].zero_()
    state["fc.bias"].copy_(torch.tensor([40.0, 0.0, 0.0]))
    save_file(state, tmp_path / "classifier.safetensors")
    encoder = {
        "name": "test_resnet",
        "weights": str(tmp_path / "classifier.safetensors"),
        "image_size": 32,
        "num_classes": 3,
        "device": "cpu",
    }
    values = {
        "run": str(tmp_path / "run"),
        "source": {"path": str(tmp_path / "images")},
        "encoder": encoder,
        "extraction": {"num_encoders": 0},
        "selection": {"budget": 1},
    }
    return Run(RunConfig.model_validate(values))


def test_a_classifier_that_is_worse_than_chance_is_reported(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(run)
    told = capsys.readouterr().out
    assert "above 1.10 nats, which is chance for 3 classes, in 2 of 3 classes: dog, emu" in told
    assert "set source.class_names" in told


def test_recognised_classes_are_counted(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extract(run)
    (tmp_path / "images" / "cat" / "1.png").touch()
    capsys.readouterr()
    extract(run)
    assert "1 class with images of other times and the same content" in capsys.readouterr().out
