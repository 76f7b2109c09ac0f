"""Sweeps as a user starts them: killed and continued, failing trials, early stopping."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from jobs.command.settings import load_config
from tests.ray.tiny import write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]
# kappa * budget = 32 passes the 30 images of a class: those trials must fail and the others go on.
SUBSETS = {"name": "subsets", "space": {"kappa": [1.05, 1.5, 8.0], "alpha": [0.1, 1.0]}}
FULL = {
    "name": "full",
    "kind": "full",
    "metric": "fid",
    "reduction_factor": 2,
    "space": {"kappa": [1.05, 1.5]},
}


def start(root: Path, sweep: dict, run: str, *overrides: str) -> subprocess.Popen[str]:
    (root / f"{sweep['name']}.yaml").write_text(yaml.safe_dump(sweep))
    command = [
        sys.executable,
        "-m",
        "jobs.sweep",
        "--sweep",
        str(root / f"{sweep['name']}.yaml"),
        "--config",
        str(root / "tiny.yaml"),
    ]
    command += ["--run", run, *overrides]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())}
    # Relative paths, as users write them: Ray Tune would give each trial a working directory of its own.
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        cwd=root,
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output
    return output


def records(root: Path, run: str) -> dict[str, Path]:
    return {path.stem: path for path in sorted((root / run).glob("sweeps/*/trials/*.json"))}


def finished_records(root: Path, run: str) -> dict[str, Path]:
    return {
        key: path
        for key, path in records(root, run).items()
        if json.loads(path.read_text())["state"] == "finished"
    }


def results(root: Path, run: str) -> dict[str, bytes]:
    (folder,) = (root / run / "sweeps").iterdir()
    names = {
        str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()
    }
    return {name: path.read_bytes() for name, path in names.items() if name != "best.yaml"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sweep")
    write_config(root, models=("sit",), lean=True)
    return root


@pytest.fixture(scope="module")
def undisturbed(root: Path) -> str:
    return finish(start(root, SUBSETS, "undisturbed"))


def test_trials_are_measured_and_failed_ones_named(undisturbed: str, root: Path) -> None:
    (table,) = (root / "undisturbed").glob("sweeps/subsets-*/results.parquet")
    rows = pq.read_table(table).to_pylist()
    assert len(rows) == 6
    assert [row["state"] for row in rows if row["kappa"] == 8.0] == ["failed", "failed"]
    assert all(
        "kappa * budget must be below the number of images (30)" in row["message"]
        for row in rows
        if row["kappa"] == 8.0
    )
    measured = [row for row in rows if row["state"] == "finished"]
    assert len(measured) == 4
    best = min(measured, key=lambda row: row["frechet_distance"])
    config = load_config(str(table.with_name("best.yaml")), [])
    assert (
        config.selection.settings.geometry_aware.kappa,
        config.selection.settings.geometry_aware.alpha,
    ) == (
        best["kappa"],
        best["alpha"],
    )
    assert f"alpha={best['alpha']} kappa={best['kappa']}: frechet_distance" in undisturbed
    assert list((root / "undisturbed/logs").rglob("events.out.tfevents.*"))
    assert "Traceback" not in undisturbed


def test_a_killed_sweep_goes_on_and_ends_with_the_same_bytes(undisturbed: str, root: Path) -> None:
    process = start(root, SUBSETS, "killed")
    deadline = time.monotonic() + 600
    while len(finished_records(root, "killed")) < 2:
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    before = {
        key: path.stat().st_mtime_ns for key, path in finished_records(root, "killed").items()
    }
    assert 2 <= len(before) < 4
    output = finish(start(root, SUBSETS, "killed"))
    after = records(root, "killed")
    assert f"6 trials, {len(before)} of them finished before" in output
    assert {key: after[key].stat().st_mtime_ns for key in before} == before
    assert results(root, "killed") == results(root, "undisturbed")


def test_a_later_sweep_finds_the_selections_of_an_earlier_one(undisturbed: str, root: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in (root / "undisturbed").glob("selection/*/*/selection.parquet")
    }
    finish(
        start(
            root,
            {"name": "later", "metric": "recall", "space": {"kappa": [1.05, 1.5], "alpha": [0.1]}},
            "undisturbed",
        )
    )
    after = {
        path: path.stat().st_mtime_ns
        for path in (root / "undisturbed").glob("selection/*/*/selection.parquet")
    }
    assert after == before
    assert len(list((root / "undisturbed").glob("sweeps/later-*/trials/*.json"))) == 2


def test_full_trials_are_stopped_early_or_measured_to_the_end(root: Path) -> None:
    overrides = ("models.sit.training.num_workers=1",)
    output = finish(start(root, FULL, "full", *overrides))
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
    before = {key: path.stat().st_mtime_ns for key, path in records(root, "full").items()}
    again = finish(start(root, FULL, "full", *overrides))
    assert "2 trials, 2 of them finished before" in again
    assert {key: path.stat().st_mtime_ns for key, path in records(root, "full").items()} == before
