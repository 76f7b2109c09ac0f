"""The benchmark of scale: what it makes up, what it measures, and what it says of larger sizes."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from benchmarks.scale import made_up
from benchmarks.scale.meter import measured
from benchmarks.scale.outlook import Outlook, outlook, slopes


def linear(rows: int) -> dict[str, dict[str, float]]:
    """Figures of two stages whose costs are a start and a part that grows as rows do."""
    shared = {"seconds": 10 + 1e-4 * rows, "cpu_seconds": 5 + 1e-3 * rows, "files": rows / 1000}
    return {
        "list": {**shared, "peak_mib": 500 + 1e-3 * rows},
        "group": {**shared, "peak_mib": 900.0},
        "select": {**shared, "peak_mib": 900.0, "select_cpu_seconds": 3.0, "selected_images": 1000},
        "fill": {"seconds": 1.0, "files": rows / 1000},
    }


def test_made_up_rows_are_the_same_for_every_number_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_up, "ROWS_IN_FILE", 100)
    made_up.write_rows(tmp_path / "small", 150)
    made_up.write_rows(tmp_path / "large", 250)
    names = [path.name for path in sorted((tmp_path / "large").iterdir())]
    assert names == ["00000.parquet", "00001.parquet", "00002.parquet"]
    tables = [pq.read_table(tmp_path / each / "00000.parquet") for each in ("small", "large")]
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 100
    values = np.stack(tables[0].column("features").to_numpy())
    assert values.shape == (100, made_up.WIDTH)
    assert values.dtype == np.float32
    assert np.isfinite(values).all()


def test_rows_that_are_there_are_not_made_again(tmp_path: Path) -> None:
    made_up.write_rows(tmp_path, 20)
    before = (tmp_path / "00000.parquet").stat().st_mtime_ns
    made_up.write_rows(tmp_path, 20)
    assert (tmp_path / "00000.parquet").stat().st_mtime_ns == before


def test_a_command_is_measured(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    command = ["benchmarks.scale.made_up", str(folder), "2000"]
    taken = measured(command, folder, tmp_path / "log")
    assert taken.files == 1
    assert taken.written_mib == pytest.approx(2000 * made_up.WIDTH * 4 / 2**20, rel=0.1)
    assert taken.seconds > 0
    assert taken.cpu_seconds > 0
    assert taken.peak_mib > 1


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="invalid int value"):
        measured(["benchmarks.scale.made_up", "x", "many"], tmp_path, tmp_path / "log")


def test_slopes_tell_linear_from_quadratic() -> None:
    results = {
        rows: {"a": {"seconds": rows * 2.0}, "b": {"seconds": rows**2.0}}
        for rows in (1000, 10_000, 100_000)
    }
    assert slopes(results, "seconds") == pytest.approx({"a": 1.0, "b": 2.0})
    assert slopes({1000: results[1000]}, "seconds") == {}


def test_the_outlook_is_the_line_through_two_sizes() -> None:
    results = {rows: linear(rows) for rows in (100_000, 1_000_000)}
    found = {each.stage: each for each in outlook(results, 10**8, nodes=4)}
    assert set(found) == {"list", "group", "select"}
    assert found["list"].hours == pytest.approx((10 + 1e4) / 3600)
    assert found["list"].peak_gib == pytest.approx((500 + 1e5) / 1024)
    assert found["group"].hours == pytest.approx((5 + 1e5) / 256 / 3600)
    assert found["group"].peak_gib == pytest.approx(900 / 1024)
    assert found["select"].hours == pytest.approx(3.0 / 1000 * 1e8 / 256 / 3600)
    assert found["select"].files == pytest.approx(2e5)


def test_what_grows_faster_than_rows_is_not_taken_for_a_line() -> None:
    results = {rows: {"verify": {"seconds": 1e-9 * rows**2}} for rows in (100_000, 1_000_000)}
    (found,) = outlook(results, 10**7, nodes=1)
    assert found.hours == pytest.approx(1e5 / 3600)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"hours": 25.0}, "takes 25 hours"),
        ({"peak_gib": 300.0}, "takes 300 GiB of memory"),
        ({"files": 2e7}, "writes 20,000,000 files"),
    ],
)
def test_what_breaks_is_named(changes: dict[str, float], fault: str | None) -> None:
    plain = {"hours": 1.0, "peak_gib": 1.0, "files": 1.0}
    found = Outlook(stage="list", rows=1, nodes=1, **(plain | changes)).faults
    assert found == (() if fault is None else (f"list {fault}",))
