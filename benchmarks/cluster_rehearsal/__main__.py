"""Rehearse a run on ImageNet on a cluster that has no GPUs but claims them.

`python -m benchmarks.cluster_rehearsal [--nodes 2] [--lose sampling]`

Ray schedules by claimed resources. So the numbers of workers, their nodes and their GPUs are those
of a real cluster with the pods of `cluster/kubernetes/raycluster.yaml`; only the work is replaced
by sleep. The figures are the GPUs that each stage used, and the time in which they were idle:
mostly the start of the workers, all on this machine. `idle_share` is the share of this time in a
run of the forecast length, with 10 images of each class.
"""

import argparse
import sys
import tempfile
import threading
import time

import ray

from benchmarks.cluster_forecast import paper_stages
from benchmarks.cluster_rehearsal.cluster import Pod, PodCluster, pods
from benchmarks.cluster_rehearsal.figures import StageFigures, stage_figures
from benchmarks.cluster_rehearsal.stages import Rehearsal, stages
from benchmarks.cluster_rehearsal.stand_ins import notes
from benchmarks.harness import finish
from jobs.cluster.start import start_ray
from jobs.command.settings import load_config
from otcondense.forecast.hardware import PRESETS
from otcondense.forecast.stages import total_seconds

CONFIG = "jobs/configs/imagenet-10k.yaml"
STAGE_SECONDS = 12.0
"""Work of each stage when all workers are busy."""
CPU_STAGES = ("selection",)
"""Stages that need no GPU."""
HARDWARE = {1: "8xH100", 2: "2x8xH100"}
"""Names of the forecast's hardware by the number of nodes."""
SMALLEST_BUDGET = 10
"""Images of each class in the shortest of the paper's runs, where idle time weighs most."""
LOSING = ("features", "latents", "sampling")
"""Stages that go on with the nodes that are left. A training starts again with all its workers,
which need a new node."""
POLL_SECONDS = 0.1
"""Time between two looks at the notes of that stage."""


def rehearse(nodes: int, lose: str | None) -> list[StageFigures]:
    """Run every stage and return its figures; lose the last node in the stage `lose`."""
    pod = Pod.of_group("gpu")
    config = load_config(CONFIG, ["source.path=images"], "rehearsal")
    found = []
    with tempfile.TemporaryDirectory() as folder, pods(nodes, pod) as cluster:
        start_ray()
        workers = nodes * pod.gpus
        rehearsal = Rehearsal(config, folder, workers, STAGE_SECONDS)
        for name, stage in stages(rehearsal):
            lost = _losing(cluster, folder, name) if name == lose else None
            start = time.time()
            stage()
            found.append(
                stage_figures(name, list(notes(folder, name)), start, time.time(), workers)
            )
            print(found[-1], flush=True)
            if lost is not None:
                lost.join()
                break
        ray.shutdown()
    return found


def _losing(cluster: PodCluster, folder: str, stage: str) -> threading.Thread:
    """Stop the last node once every node has finished a unit of a stage."""

    def lose() -> None:
        while len({note.node for note in notes(folder, stage)}) < cluster.size:
            time.sleep(POLL_SECONDS)
        cluster.lose()

    thread = threading.Thread(target=lose, daemon=True)
    thread.start()
    return thread


def _idle_share(found: list[StageFigures], nodes: int) -> float:
    """Return the share of idle GPU time in a run whose stages have their forecast length."""
    stages = paper_stages(SMALLEST_BUDGET, PRESETS[HARDWARE[nodes]])
    work = total_seconds(stage for stage in stages if stage.workers.on_gpus)
    idle = sum(each.overhead_seconds for each in found if each.stage not in CPU_STAGES)
    return idle / (work + idle)


def main() -> None:
    """Print the figures of every stage, and the JSON object of all."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster_rehearsal",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--nodes", type=int, choices=HARDWARE, default=2, help="GPU nodes [2]")
    parser.add_argument("--quick", action="store_true", help="one node")
    parser.add_argument(
        "--lose", choices=LOSING, help="lose a node in this stage, the last one then"
    )
    options = parser.parse_args()
    nodes = 1 if options.quick else options.nodes
    found = rehearse(nodes, options.lose)
    gpus = nodes * Pod.of_group("gpu").gpus
    # Not every worker of a node has finished a unit when the node is lost.
    least = gpus if options.lose is None else gpus - Pod.of_group("gpu").gpus + 1
    figures: dict[str, float] = {"gpus": gpus}
    bounds: dict[str, dict[str, float]] = {}
    for each in found:
        figures[f"{each.stage}_units"] = each.units
        figures[f"{each.stage}_wrong_devices"] = each.wrong_devices
        bounds[f"{each.stage}_wrong_devices"] = {"at_most": 0}
        if each.stage not in CPU_STAGES:
            figures[f"{each.stage}_gpus"] = each.gpus
            figures[f"{each.stage}_idle_s"] = round(each.overhead_seconds, 2)
            bounds[f"{each.stage}_gpus"] = {"at_least": least}
    if options.lose is None:
        figures["idle_share"] = round(_idle_share(found, nodes), 3)
    sys.exit(not finish("cluster_rehearsal", figures, bounds))


if __name__ == "__main__":
    main()
