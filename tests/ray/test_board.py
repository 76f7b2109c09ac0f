"""The board mirrors a stage, and gets all changes again after it dies.

The metrics that it counts are tested in test_ray_dashboard.py.
"""

import time

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
    """Return the units that the board knows once they fulfil the condition."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            units = ray.get(find_board(ROOT, STAGE).units.remote(), timeout=5)
        except ray.exceptions.RayError:
            units = {}
        if condition(units):
            return units
        time.sleep(0.05)
    raise AssertionError("the board never fulfilled the condition")


@pytest.mark.slow
def test_only_its_driver_uses_a_second_board_of_a_stage() -> None:
    first, second = open_board(ROOT, "shared"), open_board(ROOT, "shared")
    first.report.remote("a", {"swaps": 1})
    assert (
        ray.get(first.units.remote())
        == ray.get(find_board(ROOT, "shared").units.remote())
        == {"a": {"swaps": 1}}
    )
    assert ray.get(second.units.remote()) == {}


@pytest.mark.slow
def test_the_board_mirrors_workers_and_driver_and_can_die() -> None:
    board = open_board(ROOT, STAGE)
    link = BoardLink(board)
    link.note("a", {"state": "running"})
    board.report.remote("a", {"step": "swaps", "swaps": 3})
    assert exchange_until(link, "a")["a"] == {"step": "swaps", "swaps": 3}
    assert units_when(lambda units: "a" in units)["a"] == {
        "state": "running",
        "step": "swaps",
        "swaps": 3,
    }

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
