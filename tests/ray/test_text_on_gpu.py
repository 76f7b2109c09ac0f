"""Class names are embedded on a GPU of the cluster; Ray counts one that is not there."""

from pathlib import Path

import pytest
import torch

from tests.generators.weights import write_t5
from tests.ray.programs import run_program

SCRIPT = """
import sys

import ray

from otcondense.errors import InputError
from otcondense.representations import TextConfig
from pipeline.cluster_config import ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.text_task import TextJob, write_text_on_cluster

if __name__ == "__main__":
    ray.init(
        address="local",
        num_cpus=1,
        num_gpus=1,
        include_dashboard=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    for device in ("cuda", "auto", "cpu"):
        config = TextConfig(model=sys.argv[1], max_tokens=4, device=device)
        job = TextJob(sys.argv[2], f"{device}.parquet", {0: "n1"}, config)
        try:
            write_text_on_cluster(job, ExtractionConfig(), ClusterConfig())
        except InputError as error:
            print(error)
    ray.shutdown()
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(torch.cuda.is_available(), reason="the sentences are those of a CPU")
def test_text_is_embedded_on_a_gpu_of_the_cluster_and_never_on_a_cpu_in_its_place(
    tmp_path: Path,
) -> None:
    model = write_t5(tmp_path / "t5", ("n1",))
    done = run_program("-c", SCRIPT, model, str(tmp_path / "run"))
    assert done.returncode == 0, done.stderr[-2000:]
    for line in done.stdout.strip().splitlines()[-2:]:
        assert line.startswith("the cluster gave this worker a GPU, and torch")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["cpu.parquet"]
