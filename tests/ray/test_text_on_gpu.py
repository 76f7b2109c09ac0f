"""Class names are embedded on a GPU of the cluster; Ray counts one that is not there."""

import subprocess
import sys

import pytest
import torch

SCRIPT = '''
import ray

from jobs.extract_text.stage import TextWork, embed_on_cluster
from otcondense.errors import InputError
from otcondense.representations import TextConfig
from pipeline.cluster_config import ClusterConfig


class StandIn(TextWork):
    """Tells whether it runs on the GPU that it asked for."""

    def run(self, *, assigned=None):
        return bool(assigned) and ray.get_gpu_ids() == [0]


if __name__ == "__main__":
    ray.init(
        address="local",
        num_cpus=1,
        num_gpus=1,
        include_dashboard=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    for device in ("cuda", "auto"):
        config = TextConfig(model="nowhere", device=device)
        print(embed_on_cluster(StandIn("/nowhere", "text", {}, config), ClusterConfig()))
        try:
            embed_on_cluster(TextWork("/nowhere", "text", {}, config), ClusterConfig())
        except InputError as error:
            print(error)
    ray.shutdown()
'''


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(torch.cuda.is_available(), reason="the last sentence is of a CPU")
def test_text_is_embedded_on_a_gpu_of_the_cluster_and_never_on_a_cpu_in_its_place() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    lines = done.stdout.strip().splitlines()[-4:]
    assert [lines[0], lines[2]] == ["True", "True"]
    for line in (lines[1], lines[3]):
        assert line.startswith("the cluster gave this worker a GPU, and torch")
