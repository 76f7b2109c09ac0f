"""The whole way of captions on real images, without Ray: embeddings, training, prompts, samples."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from jobs.command.exit import MISTAKE
from jobs.command.settings import load_config
from jobs.run_directory.results import read_metrics
from jobs.run_directory.run import Run
from jobs.verify.command import verify
from otcondense.diffusion.samples import read_samples, sample_prompts
from otcondense.representations import TextModel
from otcondense.training_data import SubsetDataset
from tests.generators.weights import write_text_encoder, write_timm
from tests.verbs import call

NAMES = ("zero", "one")
PER_CLASS = 12
MODEL = {"name": "SiT-demo/2", "width": 16, "depth": 1, "num_heads": 2}
TRAINING = {
    "model": MODEL,
    "text": "captions",
    "subsets": ["random"],
    "num_steps": 4,
    "checkpoint_steps": [2],
    "global_batch_size": 4,
    "num_workers": 0,
    "grid_every": 4,
    "log_every": 2,
    "device": "cpu",
}
SAMPLING = {"num_steps": 2, "num_samples": 6, "batch_size": 4}


def write_digits(root: Path) -> None:
    """Digits in one class."""
    digits = load_digits()
    for split in ("train", "held_out"):
        folder = root / split / "digit"
        folder.mkdir(parents=True)
        for value, name in enumerate(NAMES):
            rows = np.flatnonzero(digits.target == value)
            for row in rows[:PER_CLASS] if split == "train" else rows[PER_CLASS : 2 * PER_CLASS]:
                pixels = (digits.images[row] * 255 / 16).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}-{row:04d}.png")


def write_captions(root: Path, word: str = "handwritten") -> None:
    """A caption next to each image."""
    for image in (root / "train" / "digit").glob("*.png"):
        image.with_suffix(".txt").write_text(f"a {word} {image.name.split('-')[0]}\n")


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("captions")
    write_digits(root)
    write_captions(root)
    encoder = {
        "name": "test_resnet",
        "weights": write_timm(root / "e.safetensors", "test_resnet"),
        "image_size": 32,
        "num_classes": 0,
        "device": "cpu",
    }
    values = {
        "run": str(root / "run"),
        "source": {"path": str(root / "train"), "captions": "txt"},
        "held_out": {"path": str(root / "held_out")},
        "encoder": encoder,
        "cluster": {"use_ray": False},
        "confidence": {"kind": "none"},
        "selection": {"budget": 5, "methods": ["random"]},
        "evaluation": {"inception_score_splits": 2, "kid_subsets": 2},
        "text": {
            "of": "captions",
            "model": write_text_encoder(root / "bert", ("a", "handwritten", *NAMES), "bert"),
            "max_tokens": 4,
            "batch_size": 2,
            "device": "cpu",
        },
        "models": {"sit": {"training": TRAINING, "sampling": SAMPLING}},
    }
    path = root / "c.yaml"
    path.write_text(yaml.safe_dump(values))
    call("extract_features", ["--config", str(path)])
    call("select_subset", ["--config", str(path)])
    return str(path)


def changed(config: str, root: Path, **sampling: Any) -> str:
    """A configuration of the same run with another sampling."""
    values = yaml.safe_load(Path(config).read_text())
    values["models"]["sit"]["sampling"] |= sampling
    path = root / "changed.yaml"
    path.write_text(yaml.safe_dump(values))
    return str(path)


def mistake(verb: str, config: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as end:
        call(verb, ["--config", config])
    assert end.value.code == MISTAKE
    return capsys.readouterr().err


def test_a_model_is_trained_on_captions_and_sampled(
    config: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(load_config(config, []))
    captions = run.store.read_bytes(run.captions_file())
    run.store.remove(run.captions_file())
    error = mistake("extract_text", config, capsys)
    assert "is missing; run `otcondense extract_features` first" in " ".join(error.split())
    run.store.write_bytes(run.captions_file(), captions)
    error = mistake("train", config, capsys)
    assert "run `otcondense extract_text` first" in error
    for verb in ("extract_text", "train", "sample"):
        call(verb, ["--config", config])
    assert verify(run) == []
    _check_samples_of_captions(run)


@pytest.mark.slow
def test_the_whole_way(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(load_config(config, []))
    for verb in ("extract_text", "train", "sample", "evaluate", "report"):
        call(verb, ["--config", config])
    assert verify(run) == []
    assert "<li>a handwritten zero</li>" in Path(run.store.path("report.html")).read_text()
    (_, last) = read_metrics(run)
    assert "held_out_loss" in last.record.values
    _check_exports(config, run, tmp_path)
    _check_data_set(run)
    _check_prompts_of_a_file(config, tmp_path, capsys)
    _check_changed_captions(run, config)


def _check_samples_of_captions(run: Run) -> None:
    directory = run.samples_directory("sit", "random", 4)
    images, labels = read_samples(run.store, directory, 6)
    assert images.shape == (6, 1, 8, 8)
    assert not labels.any()
    prompts = sample_prompts(run.store, directory, 6)
    manifest = pq.read_table(run.store.path(run.manifest("random")))
    ids = manifest.column("image_id").to_pylist()
    names = [each.split("/")[1].split("-")[0] for each in ids]
    assert prompts == [f"a handwritten {name}" for name in (*names, names[0])]


def _check_exports(config: str, run: Run, root: Path) -> None:
    prompts = sample_prompts(run.store, run.samples_directory("sit", "random", 4), 6)
    for form in ("png", "parquet", "npz"):
        output = ["--step", "4", "--format", form, "--output", str(root / form)]
        call("export_samples", ["--config", config, *output])
    lines = (root / "png" / "metadata.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["prompt"] for row in rows] == prompts
    assert all((root / "png" / row["file_name"]).exists() for row in rows)
    assert pq.read_table(root / "parquet").column("prompt").to_pylist() == prompts
    assert sorted(np.load(root / "npz").files) == ["arr_0", "arr_1"]


def _check_data_set(run: Run) -> None:
    """The embeddings of captions in the order of the items, and that of none."""
    data = SubsetDataset(run.store.root, "random", captions=True)
    model = TextModel(run.config.text)
    expected, _ = model.embed([caption for _, _, caption in data], 2)
    assert np.array_equal(data.text(), expected)
    assert np.array_equal(data.caption(3), expected[3])
    assert np.array_equal(data.no_caption(), model.embed([""], 2)[0][0])


def _check_prompts_of_a_file(config: str, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = root / "prompts.txt"
    file.write_text("zero\na handwritten one\n")
    other = changed(config, root, prompts=str(file), samples_per_prompt=2)
    call("sample", ["--config", other])
    run = Run(load_config(other, []))
    directory = run.samples_directory("sit", "random", 4)
    first, second = "zero", "a handwritten one"
    expected = [first, first, second, second, first, first]
    assert sample_prompts(run.store, directory, 6) == expected
    whole = {name: run.store.read_bytes(name) for name in run.store.list(directory)}
    run.store.remove(f"{directory}/part-00001.parquet")
    run.store.remove(run.prompts_file("sit", "random"))
    call("sample", ["--config", other])
    assert {name: run.store.read_bytes(name) for name in run.store.list(directory)} == whole

    file.write_text("one\n")
    assert any("another checkpoint or with other settings" in each.found for each in verify(run))
    call("sample", ["--config", other])
    assert sample_prompts(run.store, directory, 6) == ["one"] * 6
    file.write_text("one\n" * 9)
    capsys.readouterr()
    call("sample", ["--config", other])
    said = " ".join(capsys.readouterr().out.split())
    assert "the first 3 of 9 prompts in" in said
    assert "set models.sit.sampling.num_samples=18 for all" in said
    file.write_text("one\n\n")
    assert "line 2 of" in mistake("sample", other, capsys)


def _check_changed_captions(run: Run, config: str) -> None:
    """Another caption makes new embeddings, another training and other samples."""
    names = [f"{run.training_directory('sit', 'random')}/checkpoints/step-000004/ema.safetensors"]
    names.append(f"{run.samples_directory('sit', 'random', 4)}/part-00000.parquet")
    before = [run.store.read_bytes(name) for name in names]
    write_captions(Path(config).parent, word="a a")
    assert [each.file for each in verify(run)] == [run.captions_file()]
    call("extract_features", ["--config", config])
    assert verify(run) != []
    for verb in ("extract_text", "train", "sample"):
        call(verb, ["--config", config])
    after = [run.store.read_bytes(name) for name in names]
    assert all(old != new for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("training", {"text": True}, r"training\.text=true needs text\.of=class_names"),
        ("training", {"text": False}, None),
        ("sampling", {"classes": [0]}, "sampling.classes and sampling.labels are for models of"),
        ("sampling", {"labels": "random"}, "sampling.classes and sampling.labels are for models"),
    ],
)
def test_settings_that_contradict_each_other(
    part: str, value: dict[str, Any], message: str | None, config: str
) -> None:
    values = yaml.safe_load(Path(config).read_text())
    values["models"]["sit"][part] |= value
    other = Path(config).with_name(f"{part}-{len(str(value))}.yaml")
    other.write_text(yaml.safe_dump(values))
    if message is None:
        assert "text" not in load_config(str(other), []).training_inputs
        return
    with pytest.raises(Exception, match=message):
        load_config(str(other), [])
    values["text"]["of"] = "class_names"
    del values["text"]["batch_size"]
    values["models"]["sit"] = {"training": TRAINING, "sampling": SAMPLING}
    other.write_text(yaml.safe_dump(values))
    with pytest.raises(Exception, match=r"training\.text=captions needs text\.of=captions"):
        load_config(str(other), [])
