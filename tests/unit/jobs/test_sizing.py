"""Numbers of actors: what None becomes on a cluster."""

import pytest
import ray

from actors.pool_config import PoolConfig
from jobs.cluster import sizing
from jobs.cluster.sizing import PoolWork, sized_pool, trial_pool
from pipeline.cluster_config import ClusterConfig
from pipeline.nodes import Demand, Node

GIGA = 1e9
EIGHT: Node = {"CPU": 96.0, "GPU": 8.0, "memory": 1000 * GIGA}
CPUS: Node = {"CPU": 16.0, "memory": 64 * GIGA}
SMALL: Node = {"CPU": 16.0, "memory": 4 * GIGA}


def sized(
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[Node],
    pool: PoolConfig,
    cluster: ClusterConfig,
    *,
    uses_gpu: bool,
    units: int = 1000,
) -> tuple[int | None, float | None, list[Demand]]:
    """Return the actors, the GPUs of each, and what the pool waited for."""
    asked: list[Demand] = []
    there = int(sum(node.get("GPU", 0) for node in nodes))

    def room(demand: Demand, _cluster: ClusterConfig, _stage: str) -> list[Node]:
        asked.append(demand)
        return nodes

    monkeypatch.setattr(ray.util, "get_current_placement_group", lambda: None)
    monkeypatch.setattr(sizing, "known_gpus", lambda cluster: max(cluster.gpus or 0, there))
    monkeypatch.setattr(sizing, "room_for", room)
    found = sized_pool(pool, cluster, PoolWork("stage", units, uses_gpu))
    return found.num_actors, found.num_gpus, asked


@pytest.mark.parametrize(
    ("nodes", "pool", "uses_gpu", "expected"),
    [
        ([EIGHT], {}, True, (8, 1.0)),
        (2 * [EIGHT], {}, True, (16, 1.0)),
        ([EIGHT], {"num_gpus": 0.5}, True, (16, 0.5)),
        ([EIGHT], {"num_gpus": 0}, True, (96, 0.0)),
        ([EIGHT], {"num_actors": 3}, True, (3, 1.0)),
        ([EIGHT, CPUS], {}, False, (112, 0.0)),
        ([CPUS], {}, True, (16, 0.0)),
        ([CPUS], {"num_cpus": 4}, False, (4, 0.0)),
        ([SMALL], {}, False, (2, 0.0)),  # its memory holds two
        ([SMALL], {"num_actors": 16}, False, (16, 0.0)),
    ],
)
def test_actors_take_all_gpus_or_else_all_cpus(
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[Node],
    pool: dict[str, float],
    *,
    uses_gpu: bool,
    expected: tuple[int, float],
) -> None:
    config = PoolConfig.model_validate(pool)
    found = sized(monkeypatch, nodes, config, ClusterConfig(), uses_gpu=uses_gpu)
    assert found[:2] == expected
    assert found[2] == [Demand(1, config.num_cpus, expected[1])]


def test_no_more_actors_than_units(monkeypatch: pytest.MonkeyPatch) -> None:
    found = sized(monkeypatch, [EIGHT], PoolConfig(), ClusterConfig(), uses_gpu=True, units=3)
    assert found[0] == 3


def test_actors_of_nodes_that_the_autoscaler_will_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pool begins with the first; the others are what the autoscaler sees waiting."""
    found = sized(monkeypatch, [ONE_GPU], PoolConfig(), ClusterConfig(gpus=8), uses_gpu=True)
    assert found == (8, 1.0, [Demand(1, 1.0, 1.0)])
    found = sized(monkeypatch, [CPUS], PoolConfig(), ClusterConfig(cpus=128), uses_gpu=False)
    assert found == (128, 0.0, [Demand(1, 1.0, 0.0)])


ONE_GPU: Node = {"CPU": 12.0, "GPU": 1.0}


def test_actors_without_resources_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = PoolConfig(num_cpus=0)
    assert sized(monkeypatch, [CPUS], pool, ClusterConfig(), uses_gpu=True) == (1, 0.0, [])


def test_a_trial_has_few_actors() -> None:
    assert trial_pool(PoolConfig(), has_gpus=True, small=False).num_actors == 2
    assert trial_pool(PoolConfig(), has_gpus=True, small=False).num_gpus == 1.0
    asked = PoolConfig(num_actors=5, num_gpus=0.25)
    assert trial_pool(asked, has_gpus=False, small=True) == asked


def test_a_small_trial_has_no_actors() -> None:
    found = trial_pool(PoolConfig(), has_gpus=False, small=True)
    assert (found.num_actors, found.num_gpus) == (0, 0.0)
