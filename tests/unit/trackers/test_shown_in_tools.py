"""W&B, MLflow and TensorBoard, each the real library without a network, read back by itself."""

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from jobs.run_directory.trackers_config import MlflowConfig, TrackersConfig, WandbConfig
from jobs.trackers.chosen import couriers
from jobs.trackers.courier import Courier
from jobs.trackers.tracker import Subject
from jobs.trackers.trials import ShownTrial, show_trials, trials_shown
from otcondense.store import Store
from tests.generators.tracked import Shown, read_mlflow, read_tensorboard, read_wandb

pytestmark = pytest.mark.filterwarnings("default")  # the libraries' own
LONG = [pytest.mark.slow, pytest.mark.timeout(600)]
"""MLflow is imported for 3 s, and makes its database for 6 s."""


def config_of(name: str, root: Path) -> TrackersConfig:
    if name == "wandb":
        return TrackersConfig(wandb=WandbConfig())
    if name == "mlflow":
        return TrackersConfig(mlflow=MlflowConfig(uri=f"sqlite:///{root}/mlflow.db"))
    return TrackersConfig(tensorboard=True)


def read(name: str, root: Path) -> list[Shown]:
    if name == "wandb":
        return read_wandb(root / "run/logs/wandb")
    if name == "mlflow":
        return read_mlflow(f"sqlite:///{root}/mlflow.db")
    return [read_tensorboard(root / "run/logs/tensorboard")]


def png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8), 128).save(file, "PNG")
    return file.getvalue()


def show(courier: Courier, lines: dict[int, float]) -> str:
    courier.stage("train")
    courier.values("select/a", {"gap": 0.25})
    courier.values("evaluate/m-a", {"fid": 3.0, "fid_std": 0.5}, 10)
    for step, loss in lines.items():
        courier.line("train/m-a", {"loss": loss}, step)
    courier.image("samples/m-a", png(), 2)
    courier.table("subsets", [{"subset": "a", "gap": 0.25}, {"subset": "b"}])
    courier.file("subset-a-0a1b2c3d.parquet", b"rows")
    return courier.close(failed=False)


@pytest.mark.parametrize(
    "name", ["tensorboard", *(pytest.param(name, marks=LONG) for name in ("wandb", "mlflow"))]
)
def test_a_resumed_run_goes_on_where_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each value is there once, whatever a second start repeats."""
    monkeypatch.chdir(tmp_path)
    config = config_of(name, tmp_path)
    settings = {"selection": {"budget": 4}, "run": "x"}
    subject = Subject("run", settings, Store(str(tmp_path / "run")))
    for lines in ({1: 0.5, 2: 0.25}, {2: 0.25, 3: 0.125}):
        time.sleep(1 - time.time() % 1)  # W&B names the files of a start by its second
        (courier,) = couriers([name], config, subject)
        assert show(courier, lines)
    starts = read(name, tmp_path)
    assert len({start.identity for start in starts}) == 1
    values: dict[str, list[tuple[int, float]]] = {}
    for start in starts:
        for key, each in start.values.items():
            values.setdefault(key, []).extend(each)
    assert values["select/a/gap"][:1] == [(0, 0.25)]
    assert values["evaluate/m-a/fid"] == [(10, 3.0)]
    assert values["evaluate/m-a/fid_std"] == [(10, 0.5)]
    assert starts[0].tables == {"subsets"}
    (picture,) = starts[0].pictures
    assert picture.startswith("samples/m-a")
    if name == "tensorboard":  # workers write the curves
        assert not any(key.startswith("train/") for key in values)
        return
    assert values["train/m-a/loss"] == [(1, 0.5), (2, 0.25), (3, 0.125)]
    assert "subset-a-0a1b2c3d.parquet" in starts[0].files
    assert any("budget" in key or "budget" in text for key, text in starts[0].config.items())


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_each_trial_is_a_run_and_is_shown_once(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(str(tmp_path / "run"))
    first = ShownTrial("a", "kappa=1", {"kappa": 1}, "finished", {5: {"fid": 3.0}, 9: {"fid": 2.0}})
    second = replace(first, key="b", title="kappa=2", values={"kappa": 2}, state="failed")
    for trials in ([first], [first, second]):
        with trials_shown(config_of(name, tmp_path), store, "sweep s", "sweeps/s-0a1b2c3d"):
            show_trials(trials)
    runs = sorted(read(name, tmp_path), key=lambda run: run.config["kappa"])
    assert [run.config["kappa"] for run in runs] == ["1", "2"]
    assert [run.values["metrics/fid"] for run in runs] == [[(5, 3.0), (9, 2.0)]] * 2


def test_a_tool_that_cannot_start_is_given_up(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The real library, in a place where it cannot write."""
    (tmp_path / "file").write_text("x")
    config = TrackersConfig(wandb=WandbConfig(folder=str(tmp_path / "file")))
    (courier,) = couriers(["wandb"], config, Subject("run", {}, Store(str(tmp_path / "run"))))
    assert show(courier, {1: 0.5}) == ""
    assert caplog.text.count("W&B is given up, the run goes on without it: FileExistsError") == 1


def test_no_key_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    config = TrackersConfig(wandb=WandbConfig(mode="online"))
    (courier,) = couriers(["wandb"], config, Subject("run", {}, Store(str(tmp_path / "run"))))
    assert courier.close(failed=False) == ""
    assert "no key for W&B; set WANDB_API_KEY, or run `wandb login`" in caplog.text
