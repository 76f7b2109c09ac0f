"""A Ray cluster on this machine whose nodes claim the resources of the GPU pods.

Ray schedules by the resources that a node claims: it starts as many workers, on the same nodes, as
on real GPUs. The workers then have no GPU.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ray.cluster_utils import Cluster

MANIFEST = Path(__file__).parents[2] / "cluster" / "kubernetes" / "raycluster.yaml"
OBJECT_STORE_BYTES = 100_000_000
"""The stand-ins exchange numbers only."""


@dataclass(frozen=True)
class Pod:
    """What one pod of a worker group offers."""

    gpus: int
    cpus: int

    @classmethod
    def of_group(cls, name: str) -> "Pod":
        """Return the pod of a worker group of `raycluster.yaml`."""
        documents = yaml.safe_load_all(MANIFEST.read_text(encoding="utf-8"))
        cluster = next(each for each in documents if each["kind"] == "RayCluster")
        groups = {group["groupName"]: group for group in cluster["spec"]["workerGroupSpecs"]}
        container = groups[name]["template"]["spec"]["containers"][0]
        limits = container["resources"]["limits"]
        return cls(int(limits.get("nvidia.com/gpu", 0)), int(limits["cpu"]))


class PodCluster:
    """A head without resources, and pods."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._nodes: list[Any] = []

    def add(self, pod: Pod) -> None:
        """Add a node with the resources of a pod."""
        node = self._cluster.add_node(
            num_cpus=pod.cpus, num_gpus=pod.gpus, object_store_memory=OBJECT_STORE_BYTES
        )
        self._nodes.append(node)

    @property
    def size(self) -> int:
        """Pods that are there."""
        return len(self._nodes)

    def lose(self) -> None:
        """Kill the processes of the last node."""
        self._cluster.remove_node(self._nodes.pop(), allow_graceful=False)


@contextmanager
def pods(count: int, pod: Pod) -> Iterator[PodCluster]:
    """Start a head and `count` pods; `RAY_ADDRESS` names the cluster as long as it is there."""
    cluster: Any = Cluster(  # some of its methods have no annotations
        initialize_head=True,
        head_node_args={"num_cpus": 0, "num_gpus": 0, "object_store_memory": OBJECT_STORE_BYTES},
    )
    try:
        started = PodCluster(cluster)
        for _ in range(count):
            started.add(pod)
        os.environ["RAY_ADDRESS"] = cluster.address
        yield started
    finally:
        os.environ.pop("RAY_ADDRESS", None)
        cluster.shutdown()
