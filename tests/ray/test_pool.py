"""The dispatch loop survives dead actors and failing units, and stops what is late or interrupted."""

import os
import time
from pathlib import Path

import pytest
import ray

from actors.crew import RayCrew
from actors.pool import Pool, PoolConfig
from actors.reporter import Reporter
from otcondense.errors import InputError
from otcondense.selection import Moment


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
        reporter = Reporter(None, unit["name"])
        while unit.get("long"):
            reporter(Moment("swaps"))
            time.sleep(0.02)
        if unit.get("mistake"):
            raise InputError("budget must be at most 3, found 4")
        if unit.get("bug"):
            raise KeyError("x")
        return {"square": unit["value"] ** 2}


def run_pool(directory: Path, units: list[dict], **settings: float):
    seen: list[tuple[str, str]] = []
    config = PoolConfig(**{"num_actors": 2, "max_attempts": 3, **settings})
    pool = Pool(RayCrew(lambda: Worker.remote(str(directory))), config)
    return pool.run(units, lambda name, changes: seen.append((name, changes["state"]))), seen


@pytest.mark.parametrize("num_actors", [1, 2])
def test_every_unit_is_done_once(ray_cluster: None, tmp_path: Path, num_actors: int) -> None:
    outcome, seen = run_pool(
        tmp_path, [{"name": f"u{i}", "value": i} for i in range(7)], num_actors=num_actors
    )
    assert outcome.results == {f"u{i}": {"square": i * i} for i in range(7)}
    assert sorted(seen) == sorted(
        (f"u{i}", state) for i in range(7) for state in ("running", "done")
    )
    assert not outcome.failures
    assert len(list(tmp_path.iterdir())) == 7


def test_a_unit_whose_actor_dies_is_tried_again(ray_cluster: None, tmp_path: Path) -> None:
    units = [
        {"name": "a", "value": 2, "die": 2},
        {"name": "b", "value": 3},
        {"name": "c", "value": 4, "die": 9},
    ]
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


def test_a_unit_that_hangs_fails_at_its_deadline_and_the_others_go_on(
    ray_cluster: None, tmp_path: Path
) -> None:
    units = [{"name": "a", "hang": True}, *({"name": f"u{i}", "value": i} for i in range(4))]
    outcome, seen = run_pool(tmp_path, units, num_actors=1, deadline_seconds=8.0, grace_seconds=0.5)
    assert outcome.failures == {"a": "it had not ended after 8 s, its deadline"}
    assert len(outcome.results) == 4
    assert [state for name, state in seen if name == "a"] == ["running", "failed"]


def test_a_unit_that_looks_up_stops_at_its_deadline_and_keeps_its_actor(
    ray_cluster: None, tmp_path: Path
) -> None:
    hired = []

    def hire():
        hired.append(Worker.remote(str(tmp_path)))
        return hired[-1]

    units = [{"name": "a", "long": True}, {"name": "b", "value": 3}]
    outcome = Pool(
        RayCrew(hire), PoolConfig(num_actors=1, deadline_seconds=8.0, grace_seconds=60.0)
    ).run(units)
    assert outcome.failures == {"a": "it had not ended after 8 s, its deadline"}
    assert outcome.results == {"b": {"square": 9}}
    assert len(hired) == 1


def test_an_interruption_stops_what_is_running_and_queues_it_again(
    ray_cluster: None, tmp_path: Path
) -> None:
    seen: list[tuple[str, str]] = []

    def interrupt() -> None:
        if list(tmp_path.iterdir()):
            raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        Pool(
            RayCrew(lambda: Worker.remote(str(tmp_path))),
            PoolConfig(num_actors=1, grace_seconds=60.0),
        ).run(
            [{"name": "a", "long": True}, {"name": "b", "value": 1}],
            lambda name, changes: seen.append((name, changes["state"])),
            interrupt,
        )
    assert seen == [("a", "running"), ("a", "queued")]
    assert time.monotonic() - started < 50, "the unit was not told to stop"


def test_workers_that_cannot_start_fail_the_units_with_the_reason(ray_cluster: None) -> None:
    @ray.remote(num_cpus=0.5)
    class Broken:
        def __init__(self) -> None:
            raise InputError("weights must be a file, found nothing")

        def run(self, unit: dict) -> dict:
            return unit

    outcome = Pool(RayCrew(Broken.remote), PoolConfig(num_actors=2, max_attempts=2)).run(
        [{"name": "a"}, {"name": "b"}]
    )
    assert set(outcome.failures) == {"a", "b"}
    assert all(
        "weights must be a file, found nothing" in reason for reason in outcome.failures.values()
    )


def test_no_units_need_no_actor() -> None:
    def no_actor() -> None:
        raise AssertionError("an actor was made for nothing")

    assert Pool(RayCrew(no_actor), PoolConfig()).run([]).results == {}
