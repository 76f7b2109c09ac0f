"""An evaluation on a cluster with GPUs asks for them; Ray counts GPUs that are not there."""

import pytest

from tests.ray.programs import run_program

GPUS = 4
SCRIPT = '''
import tempfile
import time
from types import SimpleNamespace

import numpy as np
import ray
import torch

from otcondense.evaluation import NamedEncoder
from otcondense.store import Store
from otcondense.store.images import write_images
from pipeline import evaluation_place, judged_parts
from pipeline.evaluation_place import EvaluationOnCluster
from pipeline.extraction_config import ExtractionConfig
from pipeline.judged_parts import PixelFile, parts_of, read_parts
from pipeline.judges import JudgeConfig

GPUS = {gpus}


class StandIn(JudgeConfig):
    """Its features are the number of the GPU that Ray gave the worker."""

    def load(self, *, assigned=None):
        def encode(images):
            time.sleep(2)
            number = float(ray.get_gpu_ids()[0])
            return SimpleNamespace(features=torch.full((len(images), 1), number))

        assert assigned
        return NamedEncoder("stand-in", "0", encode)


def stand_in(task, device, threads):
    resources = ray.get_runtime_context().get_assigned_resources()
    return (device, resources.get("GPU")), b"", []


if __name__ == "__main__":
    ray.init(
        address="local",
        num_cpus=2 * GPUS,
        num_gpus=GPUS,
        include_dashboard=False,
        logging_level="ERROR",
        _node_ip_address="127.0.0.1",
    )
    store = Store(tempfile.mkdtemp())
    judge = StandIn("stand-in", "0", None, None, "auto", 2)
    judged_parts.PART_IMAGES = 2
    files = []
    for number in range(2 * GPUS):
        images = np.zeros((2, 1, 4, 4), np.uint8)
        write_images(store, f"part-{{number}}", images, np.zeros(2, np.int64), fingerprint="f")
        files.append(PixelFile(f"part-{{number}}", str(number), 2))
    parts = parts_of("evaluation/x-00000000", files, ("features",), judge)
    place = EvaluationOnCluster(store, ExtractionConfig(), "auto")
    encoded = list(place.encode(judge, parts))
    found = read_parts(store, [part.result for part in parts]).features
    evaluation_place.run_task = stand_in
    metrics = [done.result for done in place.measure([None] * 2)]
    print(len(encoded), sorted(set(found.flatten().tolist())), metrics)
    ray.shutdown()
'''


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_every_logical_gpu_encodes_and_metrics_have_one() -> None:
    done = run_program("-c", SCRIPT.format(gpus=GPUS))
    assert done.returncode == 0, done.stderr[-2000:]
    numbers = [float(number) for number in range(GPUS)]
    expected = f"{2 * GPUS} {numbers} {[('cuda', 1.0)] * 2}"
    assert done.stdout.strip().splitlines()[-1] == expected
