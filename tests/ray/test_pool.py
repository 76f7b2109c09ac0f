"""The dispatch loop survives dead actors and failing units."""

import os
import time
from pathlib import Path

import pytest
import ray

from actors.pool import Pool, PoolConfig
from otcondense.errors import InputError


@ray.remote(num_cpus=0.5)
class Worker:
    """Does what each unit asks for."""

    def __init__(self, directory: str) -> None:
        self._directory = Path(directory)

    def run(self, unit: dict) -> dict:
        visits = len(list(self._directory.glob(f"{unit['name']}-*")))
        (self._directory / f"{unit['name']}-{visits}").touch()
        if unit.get("die", 0) > visits:
            os._exit(1)
        if unit.get("hang"):
            time.sleep(600)
        if unit.get("mistake"):
            raise InputError("budget must be at most 3, found 4")
        if unit.get("bug"):
            raise KeyError("x")
        return {"square": unit["value"] ** 2}


def run_pool(directory: Path, units: list[dict], **settings: float):
    seen: list[tuple[str, str]] = []
    pool = Pool(lambda: Worker.remote(str(directory)), PoolConfig(**{"num_actors": 2, "max_attempts": 3, **settings}))
    return pool.run(units, lambda name, changes: seen.append((name, changes["state"]))), seen


@pytest.mark.parametrize("num_actors", [1, 2])
def test_every_unit_is_done_once(ray_cluster: None, tmp_path: Path, num_actors: int) -> None:
    outcome, seen = run_pool(tmp_path, [{"name": f"u{i}", "value": i} for i in range(7)], num_actors=num_actors)
    assert outcome.results == {f"u{i}": {"square": i * i} for i in range(7)}
    assert sorted(seen) == sorted((f"u{i}", state) for i in range(7) for state in ("running", "done"))
    assert not outcome.failures
    assert len(list(tmp_path.iterdir())) == 7


def test_a_unit_whose_actor_dies_is_tried_again(ray_cluster: None, tmp_path: Path) -> None:
    units = [{"name": "a", "value": 2, "die": 2}, {"name": "b", "value": 3}, {"name": "c", "value": 4, "die": 9}]
    outcome, seen = run_pool(tmp_path, units)
    assert outcome.results == {"a": {"square": 4}, "b": {"square": 9}}
    assert "its worker died" in outcome.failures["c"]
    assert outcome.num_requeued == 4
    states = {name: [state for each, state in seen if each == name] for name in "abc"}
    assert states["a"] == ["running", "queued"] * 2 + ["running", "done"]
    assert states["c"] == ["running", "queued"] * 2 + ["running", "failed"]


def test_errors_are_recorded_and_the_others_go_on(ray_cluster: None, tmp_path: Path) -> None:
    units = [{"name": "a", "mistake": True}, {"name": "b", "bug": True}, {"name": "c", "value": 1}]
    outcome, _ = run_pool(tmp_path, units)
    assert outcome.failures == {"a": "budget must be at most 3, found 4", "b": "KeyError: 'x'"}
    assert outcome.results == {"c": {"square": 1}}


def test_a_unit_that_hangs_fails_at_its_deadline_and_the_others_go_on(ray_cluster: None, tmp_path: Path) -> None:
    units = [{"name": "a", "hang": True}, *({"name": f"u{i}", "value": i} for i in range(4))]
    outcome, seen = run_pool(tmp_path, units, num_actors=1, deadline_seconds=15.0)
    assert outcome.failures == {"a": "it had not ended after 15 s, its deadline"}
    assert len(outcome.results) == 4
    assert [state for name, state in seen if name == "a"] == ["running", "failed"]


def test_no_units_need_no_actor() -> None:
    def no_actor() -> None:
        raise AssertionError("an actor was made for nothing")

    assert Pool(no_actor, PoolConfig()).run([]).results == {}
