"""The number of actors of a pool, and the resources of each, on the cluster of this process."""

from collections.abc import Sequence
from dataclasses import dataclass

import ray

from actors.pool_config import PoolConfig
from pipeline.cluster_config import ClusterConfig
from pipeline.nodes import Demand, Node, fitting_on
from pipeline.room import known_gpus, room_for

ACTOR_BYTES = 1.5e9
"""Memory of an actor: its libraries, and one class of 1,300 images or one batch of samples.

The largest measured peak is 1.0 GB (docs/scaling.md).
"""
TRIAL_ACTORS = 2
"""Actors of a trial of a sweep on GPUs; many trials run at the same time."""


@dataclass(frozen=True)
class PoolWork:
    """What the actors of a pool do."""

    stage: str
    """For messages."""
    num_units: int
    """Units of work; more actors would be idle."""
    uses_gpu: bool
    """Whether a GPU helps."""


def sized_pool(pool: PoolConfig, cluster: ClusterConfig, work: PoolWork) -> PoolConfig:
    """Return the pool with a number for each None, once the cluster has room for one actor.

    The others start as soon as there is room for them.

    Args:
        pool: settings.
        cluster: what the cluster can have, and how long to wait for it.
        work: what the actors do.

    Raises: InputError if not one actor fits.
    """
    if ray.util.get_current_placement_group() is not None:
        return pool  # a trial has reserved the resources of its actors
    gpus = gpus_of_each(pool, has_gpus=work.uses_gpu and known_gpus(cluster) > 0)
    if not (gpus or pool.num_cpus):
        return pool.model_copy(update={"num_actors": pool.num_actors or 1, "num_gpus": 0.0})

    nodes = room_for(Demand(1, pool.num_cpus, gpus), cluster, work.stage)
    count = pool.num_actors
    if count is None:
        expected = (cluster.gpus or 0) / gpus if gpus else (cluster.cpus or 0) / pool.num_cpus
        count = max(int(expected), _fitting(nodes, pool.num_cpus, gpus))
    count = max(1, min(count, work.num_units))
    return pool.model_copy(update={"num_actors": count, "num_gpus": gpus})


def trial_pool(pool: PoolConfig, *, has_gpus: bool, small: bool) -> PoolConfig:
    """Return the pool of a trial with a number for each None.

    Args:
        pool: settings.
        has_gpus: whether GPUs help and the cluster has some.
        small: whether the trial works in its own process unless the settings say otherwise: an
            actor takes as long to start as a small model takes to sample.
    """
    gpus = gpus_of_each(pool, has_gpus=has_gpus)
    count = pool.num_actors
    if count is None:
        count = 0 if small else TRIAL_ACTORS
    return pool.model_copy(update={"num_actors": count, "num_gpus": gpus})


def gpus_of_each(pool: PoolConfig, *, has_gpus: bool) -> float:
    """Return the GPUs of each actor."""
    if pool.num_gpus is None:
        return 1.0 if has_gpus else 0.0
    return pool.num_gpus


def _fitting(nodes: Sequence[Node], cpus: float, gpus: float) -> int:
    """Return how many actors fit on the nodes by CPUs, GPUs and memory."""
    return sum(_fitting_on(node, cpus, gpus) for node in nodes)


def _fitting_on(node: Node, cpus: float, gpus: float) -> int:
    by_memory = int(node["memory"] / ACTOR_BYTES) if "memory" in node else None
    room = fitting_on(node, cpus, gpus)
    return room if by_memory is None or not room else max(1, min(room, by_memory))
