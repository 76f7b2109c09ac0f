"""Latents, tokens and text through their verbs: one repeatable, verified file per class."""

import numpy as np
import pytest
import yaml
from PIL import Image

from jobs.command.settings import load_config
from jobs.run_directory.run import Run
from jobs.verify.command import verify
from jobs.verify.evidence import STALE
from jobs.verify.files import MISSING
from otcondense.store import read_array, read_manifest, read_table
from tests.generators.weights import write_autoencoder, write_t5, write_timm
from tests.verbs import call

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow]
IMAGES = 3


@pytest.fixture(scope="module")
def config(tmp_path_factory, ray_cluster):
    """Configuration of a run of two classes, with one chosen image of each."""
    root, rng = tmp_path_factory.mktemp("representations"), np.random.default_rng(0)
    for class_name in ("cat", "dog"):
        (root / "images" / class_name).mkdir(parents=True)
        for number in range(IMAGES):
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(
                root / "images" / class_name / f"{number}.png"
            )
    encoder = write_timm(root / "encoder.safetensors", "test_resnet")
    values = {
        "run": str(root / "run"),
        "source": {"path": str(root / "images")},
        "encoder": {
            "name": "test_resnet",
            "weights": encoder,
            "num_classes": 0,
            "image_size": 32,
            "device": "cpu",
        },
        "confidence": {"kind": "none"},
        "extraction": {"num_encoders": 0},
        "selection": {"budget": 1, "methods": ["random"]},
        "latents": {
            "model": write_autoencoder(root / "vae"),
            "image_size": 16,
            "device": "cpu",
            "batch_size": 2,
        },
        "tokens": {
            "name": "test_vit",
            "file": write_timm(root / "vit.safetensors", "test_vit", img_size=32),
            "image_size": 32,
            "input_size": 32,
            "device": "cpu",
            "images": "source",
        },
        "text": {"model": write_t5(root / "t5", ("cat", "dog")), "max_tokens": 4, "device": "cpu"},
    }
    (root / "c.yaml").write_text(yaml.safe_dump(values))
    for verb in ("extract_features", "select_subset"):
        call(verb, ["--config", str(root / "c.yaml")])
    return str(root / "c.yaml")


def make(config: str, kind: str) -> tuple[Run, dict[str, bytes]]:
    """Extract one kind through its verb; return the run and the files of that kind."""
    run = Run(load_config(config, []))
    call(f"extract_{kind}", ["--config", config])
    directory = (
        run.text_file().rsplit("/", 1)[0]
        if kind == "text"
        else run.representation_directory(kind, getattr(run.config, kind))
    )
    return run, {name: run.store.read_bytes(name) for name in run.store.list(directory)}


def check_latents(run: Run, names: list[str]) -> None:
    chosen = set(read_manifest(run.store, run.manifest("random")).column("image_id").to_pylist())
    tables = [read_table(run.store, name) for name in names]
    assert [table.column("flipped").to_pylist() for table in tables] == [[False, True]] * 2
    assert {
        image_id for table in tables for image_id in table.column("image_id").to_pylist()
    } == chosen
    assert read_array(tables[0], "mean").shape == (2, 4, 8, 8)


def check_tokens(run: Run, names: list[str]) -> None:
    tables = [read_table(run.store, name) for name in names]
    assert [len(table) for table in tables] == [2 * IMAGES] * 2, (
        "all images of the source and their mirror images"
    )
    assert read_array(tables[0], "tokens").shape[:2] == (2 * IMAGES, 4)


def check_text(run: Run, names: list[str]) -> None:
    (table,) = (read_table(run.store, name) for name in names)
    assert table.column("prompt").to_pylist() == ["cat", "dog"]
    assert read_array(table, "mask").tolist() == [[1, 0, 0, 0]] * 2


@pytest.mark.parametrize(
    ("kind", "check"), [("latents", check_latents), ("tokens", check_tokens), ("text", check_text)]
)
def test_the_files_of_a_verb_are_right_and_damaged_ones_are_recomputed(config, kind, check):
    run, made = make(config, kind)
    check(run, list(made))
    assert verify(run) == []
    first, *others = made
    run.store.write_bytes(first, b"PAR1")
    for name in others:
        run.store.remove(name)
    assert [problem.file for problem in verify(run)] == list(made)
    assert {problem.found for problem in verify(run) if problem.file in others} <= {MISSING}
    assert make(config, kind)[1] == made


def test_latents_of_the_wrong_images_are_found(config):
    run, made = make(config, "latents")
    of_all = run.config.latents.model_copy(update={"images": "source"})
    for name in made:
        run.store.write_bytes(
            name.replace(
                name.split("/")[1], run.representation_directory("latents", of_all).split("/")[1]
            ),
            made[name],
        )
    problems = [(problem.file.rsplit("/", 2)[1:], problem.found) for problem in verify(run)]
    assert problems == [(name.rsplit("/", 2)[1:], STALE) for name in made]
