"""A comparison at tiny size: methods, seeds and lengths to the page, and again without work."""

import csv
from pathlib import Path

import pytest
import yaml

from tests.ray.tiny import write_config
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
    "metrics": ["frechet_distance", "copy_share"],
}


def compare(root: Path) -> str:
    config = ["--config", str(root / "tiny.yaml"), "--compare", str(root / "tiny-compare.yaml")]
    return output_of("compare", [*config, "--output", str(root / "tables")])


def test_methods_are_compared_over_seeds_and_lengths(tmp_path: Path) -> None:
    write_config(tmp_path, models=("sit",), lean=True)
    (tmp_path / "tiny-compare.yaml").write_text(yaml.safe_dump(COMPARISON))
    output = compare(tmp_path)
    rows = list(csv.DictReader((tmp_path / "tables/results.csv").open()))
    places = sorted((row["variant"], row["step"], row["seed"]) for row in rows)
    assert places == sorted(
        (name, step, seed)
        for name in ("random", "bare")
        for step in ("12", "6")
        for seed in ("0", "1")
    )
    assert len({row["frechet_distance"] for row in rows}) == len(rows), (
        "two seeds gave the same samples"
    )
    summary = list(csv.DictReader((tmp_path / "tables/summary.csv").open()))
    assert len(summary) == 2 * 2 * 2
    assert all(
        float(row["low"]) < float(row["mean"]) < float(row["high"])
        for row in summary
        if row["metric"] == "frechet_distance"
    )
    assert "frechet_distance, 12 images, 6 steps: " in output
    page = (tmp_path / "tables/report.html").read_text()
    assert "What can be said" in page
    written = {path: path.read_bytes() for path in (tmp_path / "tables").iterdir()}
    assert "4 trials, 4 " in compare(tmp_path)
    assert {path: path.read_bytes() for path in written} == written
