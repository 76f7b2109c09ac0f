"""What an evaluation asks a cluster for, by the total resources of its nodes."""

import numpy as np
import pytest
import torch

from otcondense.devices import DeviceSetting
from otcondense.errors import InputError
from otcondense.store import Store
from pipeline import evaluation_place
from pipeline.evaluation_place import EvaluationHere, run_task
from pipeline.evaluation_resources import plan_evaluation
from pipeline.extraction_config import ExtractionConfig
from pipeline.judges import JudgeConfig

GPU_NODE = {"CPU": 96.0, "GPU": 8.0}
CPU_NODE = {"CPU": 16.0}
HEAD = {"CPU": 0.0}


def test_every_gpu_of_a_cluster_encodes_and_metrics_take_a_whole_one() -> None:
    found = plan_evaluation(ExtractionConfig(), [HEAD, GPU_NODE, GPU_NODE], "auto")
    assert (found.encoders.encoders, found.encoders.gpus, found.encoders.cpus) == (16, 1, 12)
    assert (found.metrics_gpus, found.metrics_cpus, found.device) == (1, 12, "cuda")


def test_encoders_that_share_a_gpu_leave_the_metrics_a_whole_one() -> None:
    config = ExtractionConfig(gpus_per_encoder=0.5)
    found = plan_evaluation(config, [GPU_NODE], "cuda")
    assert (found.encoders.encoders, found.encoders.gpus) == (16, 0.5)
    assert found.metrics_gpus == 1


@pytest.mark.parametrize(
    ("nodes", "device"), [([HEAD, CPU_NODE], "auto"), ([CPU_NODE, GPU_NODE], "cpu")]
)
def test_without_gpus_metrics_take_all_cpus_of_a_node(
    nodes: list[dict[str, float]], device: DeviceSetting
) -> None:
    found = plan_evaluation(ExtractionConfig(), nodes, device)
    assert (found.encoders.gpus, found.metrics_gpus, found.device) == (0, 0, "cpu")
    assert found.metrics_cpus == max(node["CPU"] for node in nodes)


def test_a_cluster_with_gpus_never_evaluates_on_cpus_without_a_word() -> None:
    config = ExtractionConfig(gpus_per_encoder=0)
    with pytest.raises(InputError, match=r"gpus_per_encoder must be above 0.*device=cpu"):
        plan_evaluation(config, [GPU_NODE], "auto")
    with pytest.raises(InputError, match=r"and 1 GPUs, .* room for 0 .* device=cpu"):
        plan_evaluation(ExtractionConfig(), [CPU_NODE], "cuda")


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a process without a GPU")
def test_this_process_and_a_worker_are_refused_where_torch_finds_no_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store("/nowhere")
    assert EvaluationHere(store, "auto")  # no cluster, and no GPU anywhere
    with pytest.raises(InputError, match=r"judge\.device=cuda needs a GPU"):
        EvaluationHere(store, "cuda")
    monkeypatch.setattr(evaluation_place, "cluster_gpus", lambda: 8.0)
    with pytest.raises(InputError, match=r"has 8 GPUs"):
        EvaluationHere(store, "auto")
    judge = JudgeConfig("net", "0", None, None, "auto", 4)
    with pytest.raises(InputError, match="the cluster gave this worker a GPU"):
        judge.load(assigned=True)


def test_a_task_returns_its_warnings_and_its_error() -> None:
    def noisy(device: torch.device) -> float:
        import warnings

        warnings.warn("copies", stacklevel=1)
        return float(np.float64(1) + torch.ones((), device=device))

    assert run_task(noisy, "cpu", 1) == (2.0, b"", ["copies"])
    result, error, _ = run_task(_fails, "cpu", 1)
    assert result is None
    assert error


def _fails(_device: torch.device) -> float:
    raise InputError("too few images")
