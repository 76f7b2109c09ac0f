"""How many workers train, where, and how many trainings run side by side."""

import pytest
import ray
import torch

from jobs.train import placement
from jobs.train.launch import _cause, _device_here
from jobs.train.placement import Placement, place, plan_trainings
from otcondense.diffusion import TrainingConfig
from otcondense.errors import InputError
from pipeline.cluster_config import ClusterConfig
from pipeline.nodes import Demand, Node

EIGHT: Node = {"CPU": 96.0, "GPU": 8.0}
ONE: Node = {"CPU": 12.0, "GPU": 1.0}
LAPTOP: Node = {"CPU": 8.0}


def config(**settings: object) -> TrainingConfig:
    return TrainingConfig.model_validate({"global_batch_size": 128, **settings})


@pytest.mark.parametrize(
    ("settings", "nodes", "expected"),
    [
        ({}, [EIGHT], (8, True, "STRICT_PACK")),
        ({}, 2 * [EIGHT], (8, True, "STRICT_PACK")),
        ({"global_batch_size": 256}, 2 * [EIGHT], (8, True, "STRICT_PACK")),
        ({"global_batch_size": 256, "num_workers": 16}, 2 * [EIGHT], (16, True, "PACK")),
        ({}, [{"CPU": 95.0, "GPU": 7.0}, {"CPU": 95.0, "GPU": 7.0}], (4, True, "STRICT_PACK")),
        ({"global_batch_size": 96}, [EIGHT], (6, True, "STRICT_PACK")),
        ({"accumulation": 3, "global_batch_size": 96}, [EIGHT], (4, True, "STRICT_PACK")),
        ({}, 5 * [ONE], (1, True, "STRICT_PACK")),
        ({"num_workers": 4}, 5 * [ONE], (4, True, "PACK")),
        ({}, [LAPTOP], (8, False, "STRICT_PACK")),
        ({"global_batch_size": 20}, [LAPTOP], (1, False, "STRICT_PACK")),
        ({"device": "cpu"}, [EIGHT], (8, False, "STRICT_PACK")),
        ({"num_workers": 2}, [EIGHT], (2, True, "STRICT_PACK")),
        ({"num_workers": 2}, [LAPTOP], (2, False, "STRICT_PACK")),
    ],
)
def test_workers_take_what_divides_the_batch(
    settings: dict[str, object], nodes: list[Node], expected: tuple[int, bool, str]
) -> None:
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    found = place(config(**settings), nodes, gpus)
    assert (found.num_workers, found.use_gpu, found.strategy) == expected


@pytest.mark.parametrize(
    ("settings", "nodes", "gpus", "message"),
    [
        ({"num_workers": 2}, [{"CPU": 1.0}], 0, "one CPU each, the cluster has room for 1"),
        ({"device": "cuda"}, [LAPTOP], 0, "one GPU each, the cluster has room for 0"),
        # GPUs that are not enough, or that others hold, are never replaced by CPUs in silence.
        ({"num_workers": 2}, [ONE], 1, "room for 1 .* device=cpu trains on CPUs"),
        ({}, [LAPTOP], 8, "one GPU each, the cluster has room for 0 .* device=cpu"),
    ],
)
def test_workers_that_do_not_fit_are_refused(
    settings: dict[str, object], nodes: list[Node], gpus: int, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        place(config(**settings), nodes, gpus)


@pytest.mark.parametrize(
    ("settings", "nodes", "expected"),
    [
        ({}, [EIGHT], 1),
        ({}, 8 * [EIGHT], 8),
        (
            {"num_workers": 3, "global_batch_size": 96},
            2 * [EIGHT],
            4,
        ),  # two on each node, and two GPUs are left on each
        ({"global_batch_size": 256, "num_workers": 16}, 3 * [EIGHT], 1),
        ({"num_workers": 2}, 8 * [ONE], 4),
        ({"num_workers": 2}, [{"CPU": 2.0}], 1),
    ],
)
def test_trainings_run_side_by_side_as_far_as_there_is_room(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], nodes: list[Node], expected: int
) -> None:
    gpus = int(sum(node.get("GPU", 0) for node in nodes))
    monkeypatch.setattr(placement, "known_gpus", lambda _cluster: gpus)
    monkeypatch.setattr(placement, "_room", lambda *_, **__: nodes)
    plan = plan_trainings(2 * [config(**settings)], ClusterConfig())
    assert plan.at_once == expected
    assert [each.demand for each in plan.placements] == 2 * [
        place(config(**settings), nodes, gpus).demand
    ]


def test_all_trainings_wait_once_for_the_largest_of_each_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[Demand] = []

    def room_for(demand: Demand, *_: object, **__: object) -> list[Node]:
        waits.append(demand)
        return [EIGHT]

    monkeypatch.setattr(placement, "known_gpus", lambda _cluster: 8)
    monkeypatch.setattr(placement, "room_for", room_for)
    monkeypatch.setattr(ray.util, "get_current_placement_group", lambda: None)
    on_cpu = config(device="cpu", num_workers=1)
    plan = plan_trainings(
        [config(num_workers=2), config(), on_cpu, config()], ClusterConfig(gpus=8)
    )
    assert waits == [Demand(8, 1, 1), Demand(1, 1, 0)]
    assert [each.num_workers for each in plan.placements] == [2, 8, 1, 8]


def test_workers_on_gpus_ask_for_them() -> None:
    assert Placement(8, use_gpu=True, strategy="STRICT_PACK").demand.bundle == {
        "CPU": 1.0,
        "GPU": 1.0,
    }
    assert Placement(2, use_gpu=False, strategy="PACK").demand.bundle == {"CPU": 1.0}


@pytest.mark.parametrize(("minutes", "tries"), [(30.0, 30), (0.0, 1), (1.4, 1)])
def test_a_lost_node_is_waited_for_as_long_as_a_new_one(
    monkeypatch: pytest.MonkeyPatch, minutes: float, tries: int
) -> None:
    monkeypatch.setattr(placement, "known_gpus", lambda _cluster: 8)
    monkeypatch.setattr(placement, "_room", lambda *_, **__: [EIGHT])
    plan = plan_trainings([config()], ClusterConfig(wait_minutes=minutes))
    assert plan.placements[0].failed_starts == tries


def test_workers_that_are_not_replaced_end_a_training_with_a_sentence() -> None:
    from ray.train import ControllerError
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    failure = ControllerError(WorkerGroupStartupTimeoutError(8))
    found = _cause(failure, Placement(8, use_gpu=True, strategy="PACK", wait_minutes=2))
    assert isinstance(found, InputError)
    assert "could not be replaced within 2 min: training needs 8 workers" in str(found)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a process without a GPU")
def test_a_training_here_does_not_use_the_cpu_beside_the_gpus_of_a_cluster() -> None:
    assert _device_here(config(num_workers=0), gpus=0) == "cpu"
    assert _device_here(config(num_workers=0, device="cpu"), gpus=8) == "cpu"
    for settings, gpus in (({}, 8), ({"device": "cuda"}, 0)):
        with pytest.raises(InputError, match=r"num_workers=0.*leave num_workers out"):
            _device_here(config(num_workers=0, **settings), gpus)


def test_a_gpu_that_workers_cannot_use_ends_a_training_with_a_sentence() -> None:
    from ray.train import ControllerError

    failure = ControllerError(RuntimeError("nccl2 requires at least one CUDA device"))
    on_gpu = _cause(failure, Placement(8, use_gpu=True, strategy="PACK"))
    assert isinstance(on_gpu, InputError)
    assert "at least one CUDA device); check the node" in str(on_gpu)
    assert _cause(failure, Placement(8, use_gpu=False, strategy="PACK")) is failure
