"""Resources that are free, and waiting for them: on nodes made up here, with a clock of ours."""

import threading
from collections.abc import Iterator, Sequence

import pytest

from otcondense.errors import InputError
from pipeline import room
from pipeline.cluster_config import ClusterConfig
from pipeline.evaluation_resources import plan_evaluation
from pipeline.extraction_config import ExtractionConfig
from pipeline.nodes import Demand, Node, described, fitting, total
from pipeline.resources import plan_demand, plan_resources
from pipeline.room import bundles_for, free_nodes, known_gpus, room_for

EIGHT: Node = {"CPU": 96.0, "GPU": 8.0}
CPUS: Node = {"CPU": 16.0}


class MadeUpCluster:
    """Free resources that change with time; every look and every sleep takes time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, all_nodes: Sequence[Node]) -> None:
        self.now = 0.0
        self.frees: list[tuple[float, Sequence[Node]]] = []
        self.requests: list[list[dict[str, float]]] = []
        self.nodes = all_nodes
        monkeypatch.setenv("RAY_ADDRESS", "made up")
        monkeypatch.setattr(room, "all_nodes", lambda: list(self.nodes))
        monkeypatch.setattr(room, "_free", self._free)
        monkeypatch.setattr(room.time, "sleep", self._sleep)
        monkeypatch.setattr(room.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(room, "request_resources", self._request)
        monkeypatch.setattr(room, "IN_VAIN", threading.Event())

    def _request(self, bundles: list[dict[str, float]]) -> None:
        self.requests.append(bundles)

    def _sleep(self, seconds: float) -> None:
        self.now += seconds

    def _free(self) -> list[Node]:
        found: Sequence[Node] = self.nodes
        for since, nodes in self.frees:
            if self.now >= since:
                found = nodes
        return list(found)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[MadeUpCluster]:
    made_up = MadeUpCluster(monkeypatch, [EIGHT])
    yield made_up
    assert not made_up.requests or made_up.requests[-1] == [], "a request stays for ever"


def test_an_idle_cluster_is_looked_at_once(cluster: MadeUpCluster) -> None:
    assert free_nodes() == [EIGHT]
    assert cluster.now == 0


def test_workers_that_are_stopping_are_waited_for(cluster: MadeUpCluster) -> None:
    cluster.frees = [(0.0, [{"CPU": 96.0, "GPU": 2.0}]), (1.5, [EIGHT])]
    assert free_nodes() == [EIGHT]


def test_a_cluster_that_never_rests_is_not_looked_at_for_ever(cluster: MadeUpCluster) -> None:
    starts = range(1000)
    cluster.frees = [(float(start), [{"CPU": float(start % 2)}]) for start in starts]
    free_nodes()
    assert cluster.now < 20


def test_what_the_driver_holds_is_not_free(cluster: MadeUpCluster) -> None:
    held: Node = {"CPU": 95.0, "GPU": 7.0}
    cluster.frees = [(0.0, [held])]
    assert free_nodes() == [held]
    assert cluster.now < 3
    found = plan_resources(ExtractionConfig(), free_nodes(), "auto")
    assert (found.encoders, found.gpus) == (7, 1.0)


def test_the_autoscaler_is_asked_and_waited_for(
    cluster: MadeUpCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.nodes = []
    cluster.frees = [(300.0, [EIGHT])]
    found = room_for(Demand(8, 1, 1), ClusterConfig(gpus=8), "sample")
    assert found == [EIGHT]
    assert 300 <= cluster.now < 320
    assert cluster.requests == [8 * [{"CPU": 1, "GPU": 1}], []]
    assert "sample: waiting up to 30 min for 8 workers" in capsys.readouterr().err


@pytest.mark.parametrize(("least", "is_refused"), [(1, False), (8, True)])
def test_after_the_limit_fewer_workers_start_or_the_stage_is_refused(
    cluster: MadeUpCluster, least: int, *, is_refused: bool
) -> None:
    cluster.nodes = [{"CPU": 96.0, "GPU": 3.0}]
    settings = ClusterConfig(wait_minutes=2)
    if is_refused:
        with pytest.raises(InputError, match=r"sample needs 8 worker.* room for 3 .*wait_minutes"):
            room_for(Demand(8, 1, 1), settings, "sample", least=least)
    else:
        assert room_for(Demand(8, 1, 1), settings, "sample", least=least) == cluster.nodes
    assert 120 <= cluster.now < 140


@pytest.mark.parametrize(
    ("settings", "since", "expected"),
    [
        ({}, 300.0, {"CPU": 96, "GPU": 8}),
        ({"gpus": 16, "cpus": 192}, 300.0, {"CPU": 192, "GPU": 16}),
        ({"gpus": 16, "wait_minutes": 2}, 300.0, {"CPU": 0, "GPU": 0}),
    ],
)
def test_a_sweep_on_a_cluster_at_rest_waits_for_its_first_trial(
    cluster: MadeUpCluster,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, float],
    since: float,
    expected: dict[str, float],
) -> None:
    monkeypatch.setattr(room, "all_nodes", lambda: [EIGHT] if cluster.now >= since else [])
    bundles: list[Node] = [{}, {"CPU": 1.0, "GPU": 1.0}, {"CPU": 1.0}]
    assert bundles_for(bundles, ClusterConfig(**settings), "sweep") == expected
    assert cluster.requests == [bundles[1:], []]


def test_a_sweep_does_not_wait_for_what_is_there(cluster: MadeUpCluster) -> None:
    assert bundles_for([{"GPU": 8.0}], ClusterConfig(), "sweep") == {"CPU": 96, "GPU": 8}
    assert bundles_for([{"GPU": 9.0}], ClusterConfig(wait_minutes=0), "sweep")["GPU"] == 8
    assert not cluster.requests


def test_stages_wait_in_vain_once_and_then_only_for_their_first_worker(
    cluster: MadeUpCluster,
) -> None:
    three: Node = {"CPU": 96.0, "GPU": 3.0}
    cluster.nodes = [three]
    cluster.frees = [(200.0, []), (300.0, [three])]
    settings = ClusterConfig(wait_minutes=2)
    assert room_for(Demand(8, 1, 1), settings, "features", least=0) == [three]
    first = cluster.now
    assert room_for(Demand(8, 1, 1), settings, "latents", least=0) == [three]
    assert cluster.now == first
    room_for(Demand(8, 1, 1, is_fixed=True), ClusterConfig(wait_minutes=0.1), "eight", least=0)
    assert first + 6 <= cluster.now < 200
    cluster.now = 210.0  # the node was released
    assert room_for(Demand(8, 1, 1), settings, "training", least=0) == [three]
    assert 300 <= cluster.now < 320


def test_no_waiting_where_nothing_can_come(
    cluster: MadeUpCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="room for 8"):
        room_for(Demand(9, 1, 1), ClusterConfig(wait_minutes=0), "sample", least=9)
    monkeypatch.delenv("RAY_ADDRESS")  # a cluster that the command started for itself
    with pytest.raises(InputError, match="room for 8"):
        room_for(Demand(9, 1, 1), ClusterConfig(), "sample", least=9)
    assert cluster.now == 0
    assert not cluster.requests


def test_gpus_that_others_hold_count_as_gpus_of_the_cluster(cluster: MadeUpCluster) -> None:
    cluster.frees = [(0.0, [CPUS])]
    assert known_gpus(ClusterConfig()) == 8
    assert known_gpus(ClusterConfig(gpus=64)) == 64
    assert known_gpus(ClusterConfig(gpus=0)) == 8


@pytest.mark.parametrize(
    ("config", "settings", "gpus", "expected"),
    [
        ({}, {}, 8, Demand(1, 1, 1)),
        ({}, {"gpus": 16}, 16, Demand(16, 1, 1)),
        ({"gpus_per_encoder": 0.5}, {"gpus": 16}, 16, Demand(32, 1, 0.5)),
        ({"num_encoders": 3}, {"gpus": 16}, 16, Demand(3, 1, 1)),
        ({}, {}, 0, Demand(1, 1, 0)),
        ({"cpus_per_encoder": 4}, {"cpus": 64}, 0, Demand(16, 4, 0)),
    ],
)
def test_an_extraction_waits_for_what_the_cluster_can_have(
    config: dict[str, float], settings: dict[str, int], gpus: int, expected: Demand
) -> None:
    cluster = ClusterConfig(**settings)
    assert plan_demand(ExtractionConfig(**config), gpus, cluster, "auto") == expected


def test_a_network_that_needs_a_gpu_waits_for_one_that_nobody_announced() -> None:
    assert plan_demand(ExtractionConfig(), 0, ClusterConfig(), "cuda") == Demand(1, 1, 1)


def test_a_network_that_may_use_gpus_is_not_put_on_cpus_beside_them() -> None:
    config = ExtractionConfig(gpus_per_encoder=0)
    with pytest.raises(InputError, match=r"gpus_per_encoder must be above 0 .* device=cpu"):
        plan_resources(config, [EIGHT], "auto")
    assert plan_resources(config, [EIGHT], "cpu").gpus == 0
    assert plan_resources(config, [CPUS], "auto").gpus == 0


def test_a_network_that_may_use_gpus_is_not_put_on_cpus_while_others_hold_them() -> None:
    with pytest.raises(InputError, match=r"and 1 GPUs, .* room for 0 .* free\).* device=cpu"):
        plan_resources(ExtractionConfig(), [CPUS], "auto", known=8)
    with pytest.raises(InputError, match=r"room for 0 .* device=cpu"):
        plan_evaluation(ExtractionConfig(), [CPUS], "auto", known=8)
    assert plan_resources(ExtractionConfig(), [CPUS], "cpu", known=8).gpus == 0


def test_nodes_as_numbers_and_words() -> None:
    nodes: list[Node] = [EIGHT, {"CPU": 4.0, "GPU": 8.0}, CPUS]
    assert (total(nodes, "GPU"), total(nodes, "CPU")) == (16, 116)
    assert fitting(nodes, 1, 1) == 12
    assert fitting(nodes, 1, 0) == 116
    assert fitting(nodes, 0, 1) == 16
    assert described(nodes) == "3 nodes of up to 96 CPUs and 8 GPUs"
    assert described([]) == "no node"
    assert Demand(2, 1.0, 0.0).bundle == {"CPU": 1.0}
