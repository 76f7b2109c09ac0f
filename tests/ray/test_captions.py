"""Captions with Ray: embeddings and samples have the bytes of one process; two workers train."""

from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.run_directory.run import Run
from jobs.verify.command import verify
from tests.runs import results
from tests.unit.jobs.test_captions_way import config
from tests.verbs import call

__all__ = ["config"]

pytestmark = [pytest.mark.usefixtures("ray_cluster"), pytest.mark.slow, pytest.mark.timeout(2400)]

VERBS = ("extract_features", "select_subset", "extract_text", "train", "sample")


def made(plain: str, root: Path, name: str, *, use_ray: bool, num_workers: int) -> Run:
    """A run with captions and samples."""
    values = yaml.safe_load(Path(plain).read_text())
    values["run"] = str(root / name)
    values["cluster"] = {"use_ray": use_ray}
    # Two workers of the training need both cores: none may still belong to the stage before.
    encoders = 0 if num_workers else 2
    values["representations"] = {"num_encoders": encoders, "cpus_per_encoder": 0.5}
    values["samplers"] = {"num_actors": 2, "num_cpus": 0.5}
    values["models"]["sit"]["training"]["num_workers"] = num_workers
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(values))
    run = Run(load_config(str(path), []))
    for verb in VERBS:
        call(verb, ["--config", str(path)])
    assert verify(run) == []
    return run


def test_workers_write_the_bytes_of_one_process(config: str, tmp_path: Path) -> None:
    here = made(config, tmp_path, "here", use_ray=False, num_workers=0)
    there = made(config, tmp_path, "there", use_ray=True, num_workers=0)
    wanted = ("text/", "training/")
    expected = results(Path(here.store.root), wanted)
    assert any("no_caption" in name for name in expected)
    assert any("samples/" in name for name in expected)
    assert results(Path(there.store.root), wanted) == expected


def test_two_workers_train_on_captions(config: str, tmp_path: Path) -> None:
    run = made(config, tmp_path, "two", use_ray=True, num_workers=2)
    directory = run.samples_directory("sit", "random", 4)
    assert len(run.store.list(directory)) == 2
