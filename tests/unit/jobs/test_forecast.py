import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.verbs import call


@pytest.fixture
def arguments(tmp_path):
    for name, count in (("a", 5), ("b", 12)):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(count):
            Image.fromarray(np.full((9, 7, 3), 10 * number, dtype=np.uint8)).save(
                tmp_path / "images" / name / f"{number}.png"
            )
    (tmp_path / "images/b/0.png").write_bytes(b"x")
    torch.manual_seed(0)
    save_file(
        timm.create_model("test_resnet", pretrained=False, num_classes=0).state_dict(),
        tmp_path / "w.safetensors",
    )
    encoder = (
        f"{{name: test_resnet, weights: {tmp_path}/w.safetensors, num_classes: 0, "
        "image_size: 32, batch_size: 4, device: cpu}"
    )
    shared = ["--config=jobs/configs/my-folder.yaml", f"--run={tmp_path / 'run'}", "--dry-run"]
    return [*shared, f"source.path={tmp_path / 'images'}", f"encoder={encoder}"]


def test_a_dry_run_counts_and_writes_nothing(arguments, tmp_path, capsys):
    before = sorted(tmp_path.rglob("*"))
    call("run", [*arguments, "--on", "here"])
    output = capsys.readouterr().out
    size = sum(path.stat().st_size for path in Path(tmp_path / "images").rglob("*.png"))
    assert size < 10_000
    assert f"17 images of 2 classes, {size / 1000:.3g} kB, {2 + 3} batches" in output
    assert re.search(
        r"memory of a worker: [\d.]+ MB for the encoder .*, [\d.]+ MB for decoded images", output
    )
    assert re.search(r"\d+ images/s decoded .*; 17 images sampled, 1 unreadable", output)
    assert re.search(r"time: [\d.]+ s on \d+ core\(s\) \(decoding [\d.]+ s, encoding", output)
    assert "1 method(s), 2 classes, 5 to 10 images a class, 15 in all" in output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_mistake_is_found_by_a_dry_run(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        call("run", [*arguments, "encoder.weights=absent.safetensors"])
    assert stop.value.code == 2
    assert "absent.safetensors must be a file" in capsys.readouterr().err
