"""A whole run in one process has the bytes of one with Ray, stage by stage."""

import shutil
from pathlib import Path

import pytest

from tests.runs import results
from tests.verbs import call

pytestmark = pytest.mark.slow
STAGES = {
    "extract_features": ("features/", "listing/"),
    "select_subset": ("selection/", "subset-", "held_out/"),
    "train": ("training/",),
    "sample": ("training/",),
    "evaluate": ("evaluation/", "selection/", "training/"),
}
"""Beginnings of the names of the results of each stage.

The other run selects and samples with actors. That an extraction with workers has the same bytes is
tested in `test_extraction.py` and `test_representations.py`.
"""


@pytest.fixture(scope="module")
def alone(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of the same configuration with cluster.use_ray=false, in which Ray cannot start."""
    root = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray.init", lambda **_: pytest.fail("Ray was started"))
        for module in ("extract_features", "select_subset", "sample", "train"):
            patch.setattr(f"jobs.{module}.stage.start_ray", _refuse)
        patch.setattr("jobs.evaluate.encoding.start_ray", _refuse)
        config = f"--config={tiny_run / 'tiny.yaml'}"
        call("run", [config, f"--run={root / 'run'}", "cluster.use_ray=false"])
    return root / "run"


def _refuse(*_: object) -> None:
    pytest.fail("Ray was started")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_the_same_bytes(stage: str, tiny_run: Path, alone: Path) -> None:
    expected = results(tiny_run / "run", STAGES[stage])
    found = results(alone, STAGES[stage])
    assert expected
    assert set(found) == set(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def test_one_run_goes_on_as_the_other(tiny_run: Path, alone: Path, tmp_path: Path) -> None:
    """What is missing of a run in one process is made with Ray, and nothing changes."""
    shutil.copytree(alone, tmp_path / "run")
    before = results(tmp_path / "run")
    for selected in (tmp_path / "run" / "selection").glob("random-*"):
        shutil.rmtree(selected / "class_name=1")
    call("select_subset", [f"--run={tmp_path / 'run'}", "cluster.use_ray=true"])
    assert results(tmp_path / "run") == before
