"""A whole run with all trackers on: the same results, everything shown, once over two starts."""

from pathlib import Path

import pytest

from jobs.command.settings import load_config
from jobs.run_directory.run import Run
from jobs.run_directory.stages import stages_of
from jobs.trackers.tracking import OPEN
from tests.generators.tracked import read_mlflow, read_tensorboard, read_wandb
from tests.ray.tiny import write_config
from tests.runs import results
from tests.verbs import output_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("default"),  # the libraries' own
]
SETTINGS = ("cluster.use_ray=false", "models.sit.training.grid_every=6")


def test_a_run_is_shown_and_its_bytes_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    config = str(write_config(tmp_path, models=("sit",), lean=True))
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    trackers = (
        f"trackers.mlflow.uri={uri}",
        "trackers.wandb.project=p",
        "trackers.tensorboard=true",
    )
    output_of("run", ["--config", config, "--run", str(tmp_path / "plain"), *SETTINGS])
    run = tmp_path / "shown"
    for verb in ("extract_features", "select_subset", "run"):
        printed = output_of(verb, ["--config", config, "--run", str(run), *SETTINGS, *trackers])
        assert "upload it with `wandb sync" in printed
        assert "given up" not in printed
        assert not OPEN
    assert results(run) == results(tmp_path / "plain")

    (mlflow,) = read_mlflow(uri)
    wandb = read_wandb(run / "logs/wandb")
    assert len({start.identity for start in wandb}) == 1
    assert len(wandb) == 3
    stages = [stage.name for stage in stages_of(load_config(config, []))]
    assert {f"stages/{name}/seconds" for name in stages} <= mlflow.values.keys()
    gap = mlflow.values["select/geometry_aware/gap"]
    assert len(gap) == 1
    assert 0 <= gap[0][1] < 1
    for shown in (mlflow, wandb[-1]):
        for subset in ("geometry_aware", "random"):
            steps = [step for step, _ in shown.values[f"train/sit-{subset}/loss"]]
            assert steps == [3, 6, 9, 12]
            assert [step for step, _ in shown.values[f"evaluate/sit-{subset}/fid"]] == [6, 12]
            assert f"evaluate/sit-{subset}/fid_std" in shown.values
        assert shown.tables >= {"metrics"}
        assert any(name.startswith("samples/sit-random") for name in shown.pictures)
    manifests = {path.name for path in run.glob("subset-*.parquet")}
    assert manifests <= mlflow.files
    assert manifests <= wandb[1].files
    board = read_tensorboard(run / "logs/tensorboard")
    assert board.values["select/geometry_aware/gap"] == [(0, pytest.approx(gap[0][1]))]
    assert "samples/sit-random/grid" in board.pictures
    assert "0 problems" in output_of("verify", [str(run)])


def test_a_finished_run_is_shown_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its curves come from the files of the run, and nothing is computed again."""
    monkeypatch.chdir(tmp_path)
    config = str(write_config(tmp_path, models=("sit",), subsets=("random",), lean=True))
    output_of("run", ["--config", config, *SETTINGS])
    before = results(tmp_path / "run")
    output_of("run", [str(tmp_path / "run"), "trackers.wandb.project=p"])
    assert results(tmp_path / "run") == before
    (shown,) = read_wandb(tmp_path / "run/logs/wandb")
    assert [step for step, _ in shown.values["train/sit-random/loss"]] == [3, 6, 9, 12]
    assert shown.values["evaluate/sit-random/fid"]
    run = Run(load_config(config, [], str(tmp_path / "run")))
    assert Path(run.manifest("random")).name in shown.files
