"""Where the workers of a training run: how many, on GPUs or CPUs, on one node or several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import ray

from otcondense.counts import counted
from otcondense.diffusion.training_config import TrainingConfig
from otcondense.diffusion.world_size import largest_world_size
from otcondense.errors import InputError
from pipeline.cluster_config import ANY_CLUSTER, ClusterConfig
from pipeline.nodes import Demand, Node, described, fitting, fitting_on
from pipeline.room import all_nodes, known_gpus, room_for

if TYPE_CHECKING:
    from ray.train import ScalingConfig


@dataclass(frozen=True)
class Placement:
    """The workers of one training."""

    num_workers: int
    use_gpu: bool
    strategy: Literal["STRICT_PACK", "PACK"]
    """STRICT_PACK keeps all workers on one node, where gradients do not use the network."""
    wait_minutes: float = ANY_CLUSTER.wait_minutes
    """How long a training waits for a node in place of a lost one."""

    @property
    def demand(self) -> Demand:
        """The resources of the workers."""
        return Demand(self.num_workers, 1.0, float(self.use_gpu))

    @property
    def words(self) -> str:
        """Number and kind of the workers."""
        return f"{counted(self.num_workers, 'worker')} on {'GPUs' if self.use_gpu else 'CPUs'}"

    @property
    def failed_starts(self) -> int:
        """How often Ray Train tries to place the workers, each time for a minute."""
        return max(1, round(self.wait_minutes))

    @property
    def scaling_config(self) -> "ScalingConfig":
        """The workers as Ray Train places them."""
        from ray.train import ScalingConfig

        return ScalingConfig(
            num_workers=self.num_workers,
            use_gpu=self.use_gpu,
            resources_per_worker=self.demand.bundle,
            placement_strategy=self.strategy,
        )


def uses_gpu(config: TrainingConfig, gpus: int) -> bool:
    """Return whether a training uses GPUs on a cluster that has so many."""
    return config.device == "cuda" or (config.device == "auto" and gpus > 0)


def place(config: TrainingConfig, nodes: Sequence[Node], gpus: int) -> Placement:
    """Return where the workers of a training run.

    Args:
        config: settings; without `num_workers`, they are as many as one node has room for.
        nodes: free resources of each node.
        gpus: GPUs that the cluster has or can have.

    Raises: InputError if the workers do not fit, also if they would fit on CPUs but the cluster
        has GPUs.
    """
    on_gpu = uses_gpu(config, gpus)
    each = (1.0, float(on_gpu))
    room = fitting(nodes, *each)
    on_one_node = max((fitting_on(node, *each) for node in nodes), default=0)
    # Over the network, gradients take longer than the images of a step (docs/scaling.md).
    count = config.num_workers or largest_world_size(config, on_one_node)
    if count > room:
        kind = "GPU" if on_gpu else "CPU"
        on_cpus = "; device=cpu trains on CPUs" if on_gpu and config.device == "auto" else ""
        raise InputError(
            f"num_workers={count} need one {kind} each, the cluster has room for {room} "
            f"({described(nodes)} free); set num_workers to at most {max(1, room)} or add nodes"
            f"{on_cpus}"
        )
    return Placement(count, on_gpu, "STRICT_PACK" if count <= on_one_node else "PACK")


@dataclass(frozen=True)
class Plan:
    """Where some trainings run, in their order."""

    placements: list[Placement]
    at_once: int
    """How many of them run at the same time."""


def plan_trainings(configs: Sequence[TrainingConfig], cluster: ClusterConfig) -> Plan:
    """Return where trainings run, once there is room for the largest of them.

    Args:
        configs: settings of the trainings, at least one.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError as `place` does.
    """
    gpus = known_gpus(cluster)
    demands = [_demand(config, cluster, gpus) for config in configs]
    rooms = {on_gpu: _room(demands, cluster, on_gpu=on_gpu) for on_gpu in (True, False)}
    placements = []
    counts = []
    for config in configs:
        nodes = rooms[uses_gpu(config, gpus)]
        placed = place(config, nodes, gpus)
        placements.append(replace(placed, wait_minutes=cluster.wait_minutes))
        counts.append(_copies(placements[-1], nodes))
    return Plan(placements, max(1, min(counts)))


def _demand(config: TrainingConfig, cluster: ClusterConfig, gpus: int) -> Demand:
    """Return the workers that a training has when all nodes are there."""
    on_gpu = uses_gpu(config, gpus)
    expected = cluster.gpus if on_gpu else cluster.cpus
    count = config.num_workers or largest_world_size(config, expected or 1)
    return Demand(count, 1.0, float(on_gpu), is_fixed=config.num_workers is not None)


def _room(demands: Sequence[Demand], cluster: ClusterConfig, *, on_gpu: bool) -> list[Node]:
    """Return the free nodes once the most workers of a kind fit, or the time to wait is over.

    Waiting for each training would take as much time again for each, if a node does not come.
    """
    demands = [each for each in demands if bool(each.gpus) is on_gpu]
    if not demands:
        return []
    if ray.util.get_current_placement_group() is not None:
        return all_nodes()  # the sweep has left room for the workers of each of its trials
    largest = max(demands, key=lambda demand: demand.count)
    largest = replace(largest, is_fixed=any(each.is_fixed for each in demands))
    return room_for(largest, cluster, "training", least=0)


def _copies(placement: Placement, nodes: Sequence[Node]) -> int:
    """Return how many trainings of this kind fit on the nodes at the same time."""
    demand = placement.demand
    if placement.strategy == "PACK":
        return fitting(nodes, demand.cpus, demand.gpus) // demand.count
    return sum(fitting_on(node, demand.cpus, demand.gpus) // demand.count for node in nodes)
