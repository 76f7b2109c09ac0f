"""From images to samples through latents, with tokens and text, at tiny size."""

import numpy as np
import pytest
import yaml
from PIL import Image

from jobs.command.exit import MISTAKE
from jobs.command.settings import load_config
from jobs.evaluate.stage import evaluate
from jobs.extract_latents.stage import extract as extract_latents
from jobs.report.data import collect
from jobs.run_directory.results import read_subset_quality
from jobs.run_directory.run import Run
from jobs.run_directory.stages import TRAINING_INPUTS
from jobs.score.stage import score
from jobs.select_subset.stage import select_subset
from jobs.verify.command import verify
from otcondense.diffusion.samples import read_samples
from otcondense.store import read_table
from tests.generators.weights import write_autoencoder, write_t5, write_timm
from tests.verbs import call

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow, pytest.mark.timeout(2400)]


def write_images(root):
    rng = np.random.default_rng(0)
    for part, count in (("train", 4), ("val", 12)):
        for class_name in ("ant", "cat", "dog"):
            (root / part / class_name).mkdir(parents=True)
            for number in range(count):
                image = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
                image.save(root / part / class_name / f"{number}.png")


def network(root, name, num_classes):
    file = root / f"{name}.safetensors"
    return {
        "name": "test_resnet",
        "weights": write_timm(file, "test_resnet", num_classes=num_classes),
        "num_classes": num_classes,
        "image_size": 32,
        "device": "cpu",
    }


def representations(root):
    return {
        "latents": {
            "model": write_autoencoder(root / "vae"),
            "image_size": 16,
            "device": "cpu",
            "batch_size": 2,
        },
        "tokens": {
            "name": "test_vit",
            "file": write_timm(root / "vit.safetensors", "test_vit", img_size=64),
            "image_size": 16,
            "input_size": 64,
            "device": "cpu",
        },
        "text": {
            "model": write_t5(root / "t5", ("ant", "cat", "dog")),
            "max_tokens": 4,
            "device": "cpu",
        },
    }


TRAINING = {
    "model": {"name": "DiT-demo/2", "width": 16, "depth": 2, "num_heads": 2},
    "data": "latents",
    "flip": True,
    "text": True,
    "alignment": {"depth": 1, "hidden_width": 8},
    "subsets": ["random"],
    "num_steps": 4,
    "checkpoint_steps": [2],
    "global_batch_size": 4,
    "num_workers": 2,
    "grid_every": 4,
    "log_every": 1,
    "device": "cpu",
}
SAMPLING = {"num_steps": 2, "num_samples": 6, "batch_size": 4, "clip": False}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    root = tmp_path_factory.mktemp("latents")
    write_images(root)
    values = {
        "run": str(root / "run"),
        "source": {"path": str(root / "train"), "classes": ["cat", "dog"]},
        "held_out": {"path": str(root / "val"), "classes": ["cat", "dog"]},
        "encoder": network(root, "e", num_classes=0),
        "judge": network(root, "j", num_classes=3),
        "confidence": {"kind": "none"},
        "extraction": {"num_encoders": 0},
        "selection": {"budget": 2, "methods": ["random"]},
        "pixels": {"size": 16, "channels": 3},
        **representations(root),
        "models": {"l": {"training": TRAINING, "sampling": SAMPLING}},
    }
    (root / "c.yaml").write_text(yaml.safe_dump(values))
    return str(root / "c.yaml")


def test_the_whole_way(config, tmp_path, capsys):
    run = Run(load_config(config, []))
    assert run.config.training_inputs == {"latents", "tokens", "text"}
    for verb in ("extract_features", "select_subset"):
        call(verb, ["--config", config])
    with pytest.raises(SystemExit) as end:
        call("train", ["--config", config])
    assert end.value.code == MISTAKE
    error = capsys.readouterr().err
    assert "is missing or damaged; run `otcondense extract_latents` first" in error
    for verb in (*TRAINING_INPUTS, "train", "sample"):
        call(verb, ["--config", config])
    images, labels = read_samples(run.store, run.samples_directory("l", "random", 4), 6)
    assert images.shape == (6, 3, 16, 16), "decoded"
    assert labels.tolist() == [1, 2] * 3, "the classes that it was trained on"
    grid = run.store.path(f"{run.training_directory('l', 'random')}/grids/step-000004.png")
    assert Image.open(grid).size == (128, 128)
    output = ["--step", "4", "--output", str(tmp_path / "s.npz")]
    call("export_samples", ["--config", config, *output])
    assert np.array_equal(np.load(tmp_path / "s.npz")["arr_0"], images.transpose(0, 2, 3, 1))
    assert verify(run) == []


def test_a_change_of_the_autoencoder_leads_to_another_training(config):
    first, other = (
        Run(load_config(config, overrides)) for overrides in ([], ["latents.batch_size=3"])
    )
    assert first.training_directory("l", "random") != other.training_directory("l", "random")


def test_scores_and_other_subsets_have_latents_of_their_own(config):
    trained = Run(load_config(config, []))
    scorer = f"{trained.training_directory('l', 'random')}/checkpoints/step-000004"
    before = {name: trained.store.read_bytes(name) for name in trained.store.list("latents")}
    run = Run(
        load_config(
            config, [f"scores.denoising.checkpoint={scorer}", "scores.denoising.num_timesteps=2"]
        )
    )
    score(run, "denoising")
    made = [name for name in run.store.list("latents") if name not in before]
    assert sum(len(read_table(run.store, name)) for name in made) == 2 * 8, (
        "all images, and the mirror image of each"
    )
    assert verify(run) == []
    other = Run(load_config(config, ["selection.seed=1"]))
    for stage in (select_subset, extract_latents):
        stage(other)
    assert len(run.store.list("latents")) == len(before) + len(made) + 2
    assert {name: run.store.read_bytes(name) for name in before} == before


def test_subsets_are_measured_on_pixels(config):
    run = Run(load_config(config, ["evaluation.inception_score_splits=1"]))
    evaluate(run)
    assert read_subset_quality(run)["random"].values["num_images"] == 4
    assert not run.store.exists(run.images_file("random")), (
        "read a part at a time, from where they are"
    )
    assert len(collect(run).class_sheets[0].images["random"]) == 2
