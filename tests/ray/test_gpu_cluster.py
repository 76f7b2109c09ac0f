"""The project's planning on clusters that claim GPUs: programs with a cluster of their own."""

import json

import pytest

from tests.ray.programs import run_program

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def rehearsed(*options: str) -> dict[str, float]:
    done = run_program("-m", "benchmarks.cluster_rehearsal", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])["figures"]
    return figures


def test_every_stage_uses_every_gpu_of_a_pod_and_no_other() -> None:
    figures = rehearsed("--nodes", "1")
    for stage in ("features", "latents", "training", "sampling", "evaluation"):
        assert figures[f"{stage}_gpus"] == figures["gpus"] == 8
    assert not any(value for name, value in figures.items() if name.endswith("wrong_devices"))


@pytest.mark.parametrize("stage", ["features", "sampling"])
def test_a_lost_node_costs_the_units_in_work(stage: str) -> None:
    figures = rehearsed("--nodes", "2", "--lose", stage)
    assert figures[f"{stage}_units"] >= 64
    assert figures[f"{stage}_gpus"] > 8  # both nodes worked


def test_a_stage_waits_for_a_node_that_starts_later() -> None:
    done = run_program("-m", "benchmarks.cluster_rehearsal.late_node")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "0 GPUs, then 2 actors of 1 GPUs"
    assert "sample: waiting up to 30 min" in done.stderr
