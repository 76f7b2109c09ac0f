import re
import socket
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from jobs.command.settings import load_config
from jobs.forecasts.finished import Finished
from jobs.forecasts.hardware_choice import nodes_of
from jobs.forecasts.image_stages import SourceFacts
from jobs.forecasts.known import THREAD_SHARE, timed_here
from jobs.forecasts.model_stages import model_stage
from jobs.forecasts.run_stages import later_stages
from otcondense.encoders import EncoderConfig
from otcondense.forecast.hardware import PRESETS, Hardware
from otcondense.forecast.stages import Stage, Term, Workers, total_seconds
from pipeline.forecast import DecodedSample
from tests.verbs import call


@pytest.fixture(autouse=True)
def short_timing(monkeypatch):
    monkeypatch.setattr("pipeline.forecast.ENCODE_SECONDS", 0.01)


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


@pytest.mark.parametrize(
    ("parts", "text", "left"),
    [
        (0, "", 8.0),
        (3, "3 of 4 classes finished earlier; for the rest:", 2.0),
        (4, "finished earlier, skipped if its images are unchanged", 0.0),
    ],
)
def test_what_is_finished_takes_no_time_again(parts, text, left):
    stage = Stage("select_subset", "s", (Term("a", 6.0), Term("b", 2.0)), Workers(1, on_gpus=False))
    finished = Finished(parts, 4, "class")
    assert (finished.text, finished.rest(stage).seconds) == (text, left)


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
    assert re.search(r"time: about [^(]+ on \d+ cores? \(decoding [^,]+, encoding", output)
    assert "1 method, 2 classes, 5 to 10 images a class, 15 in all" in output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_mistake_is_found_by_a_dry_run(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        call("run", [*arguments, "encoder.weights=absent.safetensors"])
    assert stop.value.code == 2
    assert "absent.safetensors must be a file" in capsys.readouterr().err


STAGES = ("extract_latents", "extract_tokens", "extract_text", "train", "sample", "evaluate")


def test_a_dry_run_for_gpus_forecasts_every_stage_and_asks_no_hub(
    arguments, tmp_path, capsys, monkeypatch
):
    def refuse(*_, **__):
        raise AssertionError("a forecast needs no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    images = next(word for word in arguments if word.startswith("source.path"))
    settings = [images, images.replace("source", "held_out"), "selection.budget=3"]
    encoder = "encoder={name: test_resnet, image_size: 32}"
    command = ["--config=jobs/configs/imagenet-10k.yaml", f"--run={tmp_path / 'run'}", "--dry-run"]
    call("run", [*command, *settings, encoder, "--on", "8xH100"])
    lines = capsys.readouterr().out.splitlines()
    assert "8 GPUs, 96 cores" in lines[1]
    for stage in STAGES:
        [row] = [row for row, line in enumerate(lines) if line.split(" ")[0] == stage]
        until = row + 1
        while "time: " not in lines[until]:
            until += 1
        assert until <= row + 3
        assert re.search(r"time: .* on \d+ (GPU|core)s? \(.*\), cost [\d.]+$", lines[until])
    assert re.match(r"all stages +: about .*, cost [\d.]+$", lines[-2])
    assert not (tmp_path / "run").exists()


def test_a_network_without_weights_is_timed_with_random_ones(arguments, capsys, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    encoder = "encoder={name: test_resnet, image_size: 32}"
    call("extract_features", [*arguments[:-1], encoder, "--on=here"])
    output = capsys.readouterr().out
    assert re.search(r"networks at [\d.]+ GFLOP/s a core, timed here with random weights", output)


def test_the_timed_speed_of_a_core_decides_the_forecast():
    config = EncoderConfig(name="test_resnet", image_size=32, num_classes=0)
    run_config = load_config("jobs/configs/my-folder.yaml", ["source.path=x"])
    run_config = run_config.model_copy(update={"encoder": config})
    cores = nodes_of("cores", 1, 0, 4)
    timed = timed_here(cores, DecodedSample(0.01, 32, 0), run_config)
    assert timed.decoded_per_core == 100
    assert timed.core_tflops > 0
    gpus = timed_here(Hardware(), DecodedSample(0.01, 32, 0), run_config)
    assert gpus.decoded_per_core == pytest.approx(100 * THREAD_SHARE)
    assert gpus.core_tflops == Hardware().core_tflops


def test_trainings_that_have_room_are_forecast_side_by_side():
    overrides = ["source.path=x", "models.l2.training.subsets=[geometry_aware, random]"]
    config = load_config("jobs/configs/imagenet-10k.yaml", overrides)
    facts = SourceFacts({"a": 100, "b": 100}, 1e5)
    seconds = []
    for name in ("8xH100", "2x8xH100"):
        stages = later_stages(config, facts, PRESETS[name])
        trainings = [stage for stage in stages if stage.name == "train"]
        assert [stage.workers.count for stage in trainings] == [8, 8]
        seconds.append(total_seconds(trainings))
    assert seconds[1] == pytest.approx(seconds[0] / 2)


def test_trainings_of_the_command_itself_are_forecast_one_after_another():
    config = load_config("jobs/configs/demo.yaml", [])
    stages = later_stages(config, SourceFacts({"a": 100}, 1e3), nodes_of("cores", 1, 0, 4))
    assert [stage.beside for stage in stages if stage.name == "train"] == [False, False]


@pytest.mark.parametrize(
    ("setting", "shorter"), [("auto", True), ("bfloat16", True), ("none", False)]
)
def test_rounded_gradients_halve_the_network_of_single_pods(setting, *, shorter):
    pods = ["source.path=x", "models.l2.training.num_workers=8"]
    overrides = [*pods, f"models.l2.training.gradient_compression={setting}"]
    config = load_config("jobs/configs/imagenet-10k.yaml", overrides)
    stage = model_stage(config, "l2", "geometry_aware", 1000, PRESETS["8x1xH100"])
    [gradients] = [term.seconds for term in stage.terms if term.name == "gradients"]
    assert gradients / 3600 == pytest.approx(15.3 if shorter else 30.9, abs=0.1)
