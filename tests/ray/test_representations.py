"""Latents of the chosen images, with actors: one file per class, whole and the same again."""

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from actors.selector import run_selector
from jobs.extract_latents import extract
from jobs.representations import image_units, representation_directory
from jobs.run_directory import Run
from jobs.settings import load_config
from jobs.verify import verify
from otcondense.store import ClassFeatures, manifest_table, read_table, sha256_bytes, write_class_features, write_table

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def run(tmp_path):
    """Two classes of three images with features, of each of which one image is chosen."""
    from diffusers import AutoencoderKL

    torch.manual_seed(0)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 2, "up_block_types": ("UpDecoderBlock2D",) * 2, "block_out_channels": (8, 8)}
    AutoencoderKL(**blocks, norm_num_groups=4, latent_channels=4).save_pretrained(tmp_path / "vae")
    values = {
        "run": str(tmp_path / "run"),
        "source": {"path": str(tmp_path / "images")},
        "selection": {"budget": 1, "methods": ["random"]},
        "latents": {"model": str(tmp_path / "vae"), "image_size": 16, "device": "cpu", "batch_size": 2},
    }
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    run, rng, chosen = Run(load_config(str(tmp_path / "c.yaml"), [])), np.random.default_rng(0), []
    for index, class_name in enumerate("ab"):
        (tmp_path / "images" / class_name).mkdir(parents=True)
        paths = [tmp_path / "images" / class_name / f"{number}.png" for number in range(3)]
        for path in paths:
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(path)
        hashes, sizes = [sha256_bytes(path.read_bytes()) for path in paths], np.full(3, 20, np.int32)
        image_ids, values = [f"{class_name}/{path.name}" for path in paths], rng.normal(size=(3, 2)).astype(np.float32)
        features = ClassFeatures(class_name, index, image_ids, values, None, None, None, None, sizes, sizes, hashes)
        write_class_features(run.store, run.features_directory(run.config.encoder), features, fingerprint="f")
        chosen.append(run_selector("random", run.config.selection.selector_settings("random", 1), features))
    write_table(run.store, run.manifest("random"), manifest_table(chosen), fingerprint="m")
    return run


def test_latents_of_a_run(run):
    config = run.config.latents
    extract(run)
    directory = representation_directory(run, "latents", config)
    tables = [read_table(run.store, name) for name in run.store.list(directory)]
    assert [len(table) for table in tables] == [2, 2], "one image of each class and its mirror image"
    before = {name: run.store.read_bytes(name) for name in run.store.list(directory)}
    run.store.write_bytes(min(before), b"PAR1")
    assert min(before) in [problem.file for problem in verify(run)]
    extract(run)
    assert {name: run.store.read_bytes(name) for name in before} == before


def test_the_whole_source_is_what_has_features(run):
    config = run.config.latents.model_copy(update={"images": "source"})
    units = image_units(run, "latents", config)
    assert [len(unit["images"]) for unit in units] == [3, 3]
    assert [unit["class_name"] for unit in units] == ["a", "b"]
