"""A comparison whose trials are trained and sampled at once, on request also on CPUs."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ray.tiny import write_config
from tests.runs import copy_run, write_times
from tests.verbs import output_of

pytestmark = [
    pytest.mark.usefixtures("ray_cluster"),
    pytest.mark.full,
    pytest.mark.timeout(1800),
    pytest.mark.filterwarnings("default"),  # as in a user's process
]
COMPARISON = {
    "name": "tiny",
    "variants": {"random": {"method": "random"}, "bare": {"method": "geometry_aware", "beta": 0}},
    "seeds": [0, 1],
    "metrics": ["frechet_distance"],
}


def compare(root: Path, **settings: object) -> str:
    (root / "tiny-compare.yaml").write_text(yaml.safe_dump(COMPARISON | settings))
    config = ["--config", str(root / "tiny.yaml"), "--compare", str(root / "tiny-compare.yaml")]
    return output_of("compare", [*config, "--output", str(root / "tables")])


def distances(root: Path) -> dict[tuple[str, str], float]:
    """Return the distance of each trial and step."""
    lines = (root / "tables/results.csv").read_text().splitlines()
    rows = list(csv.DictReader(lines))
    return {(row["trial"], row["step"]): float(row["frechet_distance"]) for row in rows}


def states(root: Path) -> dict[str, dict[str, Any]]:
    """Return the JSON of every checkpoint by its place."""
    run = root / "run"
    places = sorted(run.glob("training/*/checkpoints/*/state.json"))
    return {str(place.relative_to(run)): json.loads(place.read_text()) for place in places}


def test_results_are_those_of_trials_by_themselves(tmp_path: Path) -> None:
    """The same files and fingerprints; figures differ by rounding alone; nothing is done twice."""
    root, alone = tmp_path / "at-once", tmp_path / "alone"
    root.mkdir()
    alone.mkdir()
    write_config(root, models=("sit",), lean=True)
    output = compare(root, ensemble_size=3)
    assert "4 models in 2 groups, 0 failed" in output
    # Four models in two checkpoints: three are trained at once, and one by itself.
    sizes = [state.get("ensemble_size", 1) for state in states(root).values()]
    assert sorted(sizes) == [1, 1, 3, 3, 3, 3, 3, 3]

    before = write_times((root / "run/training").rglob("*.*"))
    assert "4 trials, 4 " in compare(root)
    assert write_times(before) == before

    copy_run(root, alone, without=("training", "sweeps", "selection", "subset-*", "logs"))
    assert "at once" not in compare(alone)
    found, expected = states(root), states(alone)
    assert {place: state["fingerprint"] for place, state in found.items()} == {
        place: state["fingerprint"] for place, state in expected.items()
    }
    assert not any("ensemble_size" in state for state in expected.values())
    assert distances(root) == pytest.approx(distances(alone), rel=0.02)
