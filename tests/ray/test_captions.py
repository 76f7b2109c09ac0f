"""Captions with Ray: what reads captions has the bytes of one process; two workers train."""

import shutil
from pathlib import Path

import pytest
import yaml

from jobs.command.settings import load_config
from jobs.extract_features.stage import extract
from jobs.run_directory.config import RunConfig
from jobs.run_directory.run import Run
from jobs.verify.command import verify
from tests.runs import results
from tests.unit.jobs.test_alignment_of_runs import models, settings
from tests.unit.jobs.test_captions_of_runs import run_of
from tests.unit.jobs.test_captions_way import config
from tests.verbs import call

__all__ = ["config", "models"]

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


def test_workers_read_captions_with_the_bytes_of_one_process(
    models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each class has two pieces, whose files are joined."""
    monkeypatch.setattr("pipeline.caption_work.PIECE_ROWS", 8)
    here = run_of(tmp_path, "parquet", **settings(models))
    extract(here)
    wanted = ("features/", "scores/")
    expected = results(Path(here.store.root), wanted)
    made = (here.features_view().directories[1], str(here.confidence_directory()))
    assert all(any(name.startswith(each) for name in expected) for each in made)
    shutil.copytree(here.store.root, tmp_path / "there")
    workers = {"num_encoders": 2, "cpus_per_encoder": 0.5}
    values = {**here.config.model_dump(mode="json"), "extraction": workers}
    there = Run(RunConfig.model_validate({**values, "run": str(tmp_path / "there")}))
    for directory in made:
        there.store.remove(directory)
    extract(there)
    assert results(Path(there.store.root), wanted) == expected
