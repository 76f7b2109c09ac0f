"""Sweeps as a user starts them: killed and resumed, failing trials, early stopping."""

import contextlib
import json
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from jobs.command.settings import load_config
from tests.commands import Command
from tests.generators.tracked import read_wandb
from tests.ray.tiny import write_config
from tests.runs import results, write_times
from tests.verbs import output_of

pytestmark = [
    pytest.mark.timeout(2400),
    pytest.mark.filterwarnings("default"),  # Ray Tune's and TensorBoard's, as in a user's process
]
# A budget of 40 passes the 30 images of a class: those trials must fail and the others go on.
SUBSETS = {
    "name": "subsets",
    "repeats": 0,
    "space": {"kappa": [1.05, 1.5], "selection.budget": [3, 4, 40]},
}
FULL = {
    "name": "full",
    "kind": "full",
    "repeats": 0,
    "metric": "fid",
    "reduction_factor": 2,
    "space": {"kappa": [1.05, 1.5]},
}


def arguments(root: Path, sweep: dict, run: str, *overrides: str) -> list[str]:
    """Relative paths, as users write them: Ray Tune gives each trial a working directory."""
    (root / f"{sweep['name']}.yaml").write_text(yaml.safe_dump(sweep))
    files = ["--sweep", f"{sweep['name']}.yaml", "--config", "tiny.yaml"]
    return [*files, "--run", run, *overrides]


def sweep_of(root: Path, sweep: dict, run: str, *overrides: str) -> str:
    """Run a sweep to its end and return what it printed."""
    with contextlib.chdir(root):
        return output_of("sweep", arguments(root, sweep, run, *overrides))


def records(root: Path, run: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((root / run).glob("sweeps/*/trials/*.json"))}


def finished_records(root: Path, run: str) -> dict[str, Path]:
    return {
        key: path
        for key, path in records(root, run).items()
        if json.loads(path.read_text())["state"] == "finished"
    }


def results_of(root: Path, run: str) -> dict[str, bytes]:
    (folder,) = (root / run / "sweeps").iterdir()
    return results(folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, ray_cluster: None) -> Path:
    root = tmp_path_factory.mktemp("sweep")
    write_config(root, models=("sit",), lean=True)
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> str:
    return sweep_of(root, SUBSETS, "undisturbed")


@pytest.mark.slow
def test_trials_are_measured_and_failed_ones_named(undisturbed: str, root: Path) -> None:
    (table,) = (root / "undisturbed").glob("sweeps/subsets-*/results.parquet")
    rows = pq.read_table(table).to_pylist()
    assert len(rows) == 6
    too_large = [row for row in rows if row["selection.budget"] == 40]
    assert [row["state"] for row in too_large] == ["failed", "failed"]
    assert all("30" in row["message"] and "40" in row["message"] for row in too_large)
    measured = [row for row in rows if row["state"] == "finished"]
    assert len(measured) == 4
    best = min(measured, key=lambda row: row["frechet_distance"])
    config = load_config(str(table.with_name("best.yaml")), [])
    assert (
        config.selection.settings.geometry_aware.kappa,
        config.selection.budget,
    ) == (
        best["kappa"],
        best["selection.budget"],
    )
    described = f"kappa={best['kappa']} selection.budget={best['selection.budget']}"
    assert f"{described}: frechet_distance" in undisturbed
    assert list((root / "undisturbed/logs").rglob("events.out.tfevents.*"))
    assert "Traceback" not in undisturbed


@pytest.mark.slow
def test_a_killed_sweep_resumes_and_ends_with_the_same_bytes(undisturbed: str, root: Path) -> None:
    """Its trials are shown in W&B, each with its values, which changes no byte."""
    shown = "trackers.wandb.project=p"
    with Command("sweep", arguments(root, SUBSETS, "killed", shown), directory=root) as command:
        assert command.wait_until(lambda: len(finished_records(root, "killed")) >= 2)
        command.signal(signal.SIGKILL)
        command.end()
    before = write_times(finished_records(root, "killed").values())
    assert 2 <= len(before) < 4
    output = sweep_of(root, SUBSETS, "killed", shown)
    assert f"6 trials, {len(before)} " in output
    assert write_times(before) == before
    assert results_of(root, "killed") == results_of(root, "undisturbed")
    trials = read_wandb(root / "killed/logs/wandb")
    settings = {(trial.config["kappa"], trial.config["selection.budget"]) for trial in trials}
    assert len(settings) == 6


@pytest.mark.slow
def test_a_later_sweep_skips_the_selections_of_an_earlier_one(undisturbed: str, root: Path) -> None:
    before = write_times((root / "undisturbed").glob("selection/*/*/selection.parquet"))
    space = {"kappa": [1.05, 1.5], "selection.budget": [4]}
    sweep_of(
        root, {"name": "later", "repeats": 0, "metric": "recall", "space": space}, "undisturbed"
    )
    after = write_times((root / "undisturbed").glob("selection/*/*/selection.parquet"))
    assert after == before
    assert len(list((root / "undisturbed").glob("sweeps/later-*/trials/*.json"))) == 2


@pytest.mark.slow
def test_the_best_two_are_repeated_with_further_seeds(undisturbed: str, root: Path) -> None:
    sweep = {"name": "noise", "repeats": 2, "space": {"kappa": [1.05, 1.5]}}
    output = sweep_of(root, sweep, "undisturbed")
    assert "2 further seeds" in output
    folder = next((root / "undisturbed/sweeps").glob("noise-repeats-*"))
    assert len(list(folder.glob("trials/*.json"))) in (2, 4)  # equal trials are made once


@pytest.mark.full
def test_full_trials_are_stopped_early_or_measured_to_the_end(root: Path) -> None:
    overrides = ("models.sit.training.num_workers=1",)
    output = sweep_of(root, FULL, "full", *overrides)
    found = [json.loads(path.read_text()) for path in records(root, "full").values()]
    assert sorted(record["state"] for record in found) in (
        ["finished", "finished"],
        ["finished", "stopped"],
    ), output
    for record in found:
        assert [rung["step"] for rung in record["rungs"]] == (
            [6, 12] if record["state"] == "finished" else [6]
        )
        assert all(rung["metrics"]["fid"] > 0 for rung in record["rungs"])
    before = write_times(records(root, "full").values())
    again = sweep_of(root, FULL, "full", *overrides)
    assert "2 trials, 2 " in again
    assert write_times(records(root, "full").values()) == before
