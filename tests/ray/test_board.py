"""The board mirrors a stage, counts for Prometheus, and gets everything again after it died."""

import time
import urllib.request

import pytest
import ray

from actors.board import BoardLink, find_board, open_board

ROOT, STAGE = "/nowhere/run", "select_subset"
pytestmark = pytest.mark.usefixtures("ray_cluster")


def exchange_until(link: BoardLink, wanted: str) -> dict:
    """Exchange until there is news of a unit."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        news = link.exchange()
        if wanted in news:
            return news
        time.sleep(0.05)
    raise AssertionError(f"no news of {wanted}")


def units_when(condition) -> dict:
    """Return what the board knows once that is as wanted."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            units = ray.get(find_board(ROOT, STAGE).units.remote(), timeout=5)
        except ray.exceptions.RayError:
            units = {}
        if condition(units):
            return units
        time.sleep(0.05)
    raise AssertionError("the board never knew it")


def test_workers_and_driver_meet_at_the_board_and_it_can_die() -> None:
    board = open_board(ROOT, STAGE)
    link = BoardLink(board)
    link.note("a", {"state": "running"})
    board.report.remote("a", {"step": "swaps", "swaps": 3})
    assert exchange_until(link, "a")["a"] == {"step": "swaps", "swaps": 3}
    assert units_when(lambda units: "a" in units)["a"] == {"state": "running", "step": "swaps", "swaps": 3}

    ray.kill(board, no_restart=False)
    link.note("b", {"state": "done", "seconds": 0.2})
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        link.exchange()
        time.sleep(0.05)
        units = units_when(lambda units: True)
        if {"a", "b"} <= set(units):
            break
    assert units == {"a": {"state": "running"}, "b": {"state": "done", "seconds": 0.2}}
    ray.kill(board)


def test_metrics_reach_the_port_that_prometheus_reads() -> None:
    board = open_board(ROOT, "metrics_test")
    link = BoardLink(board)
    link.note("a", {"state": "running"})
    board.report.remote("a", {"swaps": 5})
    exchange_until(link, "a")
    link.note("a", {"state": "done", "seconds": 0.5})
    ports = [node["MetricsExportPort"] for node in ray.nodes() if node["Alive"]]
    expected = (
        "ray_otcondense_units{",
        "ray_otcondense_swaps_total{",
        "ray_otcondense_unit_seconds_bucket{",
    )
    deadline = time.monotonic() + 60
    text = ""
    while time.monotonic() < deadline and not all(name in text for name in expected):
        link.exchange()
        time.sleep(0.5)
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[0]}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    lines = [line for line in text.splitlines() if "otcondense" in line and "metrics_test" in line]
    assert all(any(line.startswith(name) for line in lines) for name in expected), lines
    (done,) = [line for line in lines if line.startswith("ray_otcondense_units{") and 'state="done"' in line]
    assert float(done.split()[-1]) == 1
    ray.kill(board)
