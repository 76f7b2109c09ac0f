"""A comparison at tiny size: methods, seeds and lengths to the page, and again without work."""

import csv
import itertools
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
    "guidance": [1.0, 1.5],
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
    rows = list(csv.DictReader((tmp_path / "tables/results.csv").read_text().splitlines()))
    names = ("variant", "guidance", "step", "seed")
    places = sorted(tuple(row[name] for name in names) for row in rows)
    values = (("random", "bare"), ("1.0", "1.5"), ("12", "6"), ("0", "1"))
    assert places == sorted(itertools.product(*values))
    # Both guidances sample the same four models.
    assert len(list((tmp_path / "run/training").glob("sit-*/checkpoints"))) == 4
    assert len(list((tmp_path / "run/training").glob("sit-*/samples/*"))) == 4 * 2 * 2
    # After a dozen steps the averaged weights do not depend on the class: guidance does nothing.
    assert len({(row["guidance"], row["frechet_distance"]) for row in rows}) == len(rows), (
        "two seeds gave the same samples"
    )
    summary = list(csv.DictReader((tmp_path / "tables/summary.csv").read_text().splitlines()))
    assert len(summary) == 2 * 2 * 2 * 2
    assert all(
        float(row["low"]) < float(row["mean"]) < float(row["high"])
        for row in summary
        if row["metric"] == "frechet_distance"
    )
    assert "frechet_distance, 12 images, guidance 1.5, 6 steps: " in output
    page = (tmp_path / "tables/report.html").read_text()
    assert "too few seeds, " in page  # two seeds cannot be tested
    files = [path for path in (tmp_path / "tables").rglob("*") if path.is_file()]
    assert sorted(path.name for path in files if path.suffix == ".svg") == [
        "copy_share.svg",
        "frechet_distance.svg",
    ]
    written = {path: path.read_bytes() for path in files}
    assert "8 trials, 8 " in compare(tmp_path)
    assert {path: path.read_bytes() for path in written} == written
