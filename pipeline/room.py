"""What is free on the cluster of this process, and waiting until it suffices."""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ray
from ray._private import state as ray_state
from ray.autoscaler.sdk import request_resources
from tqdm import tqdm

from otcondense.errors import InputError
from pipeline.cluster_config import ClusterConfig
from pipeline.nodes import Demand, Node, described, fitting, total

KINDS = ("CPU", "GPU")
SETTLE_SECONDS = 2.0
"""Ray gives the resources of a worker back within this time after it stopped."""
SETTLE_POLL_SECONDS = 0.1
LONGEST_SETTLE_SECONDS = 10.0
"""On a cluster where others work, something changes all the time."""
POLL_SECONDS = 2.0
"""Time between two looks at a cluster that starts nodes, which takes minutes."""
MINUTE = 60.0
IN_VAIN = threading.Event()
"""Set once a wait in this process has ended with fewer workers than it was for. From then on a
stage that has room for some starts with these: a run of ten stages would wait ten times."""


def all_nodes() -> list[Node]:
    """Return all resources of every live node."""
    listed: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in listed if node["Alive"]]


def free_nodes() -> list[Node]:
    """Return the resources of every live node that nobody holds.

    What the driver or another job holds is not free: work planned with it might wait for ever.
    Workers of the stage before may have just stopped, so a busy cluster is looked at until nothing
    has changed for `SETTLE_SECONDS`, and for at most `LONGEST_SETTLE_SECONDS`.
    """
    free = _free()
    waited = 0.0
    end = time.monotonic() + LONGEST_SETTLE_SECONDS
    while waited < SETTLE_SECONDS and _sums(free) != _sums(all_nodes()):
        if time.monotonic() > end:
            break
        time.sleep(SETTLE_POLL_SECONDS)
        waited += SETTLE_POLL_SECONDS
        now = _free()
        if _sums(now) != _sums(free):
            waited = 0.0
        free = now
    return free


def _free() -> list[Node]:
    free: dict[str, Node] = ray_state.available_resources_per_node()  # type: ignore[no-untyped-call]
    return list(free.values())


def _sums(nodes: Sequence[Node]) -> dict[str, float]:
    return {kind: total(nodes, kind) for kind in KINDS}


def cluster_gpus() -> float:
    """Return the GPUs of the cluster of this process, 0 if it is connected to none."""
    return total(all_nodes(), "GPU") if ray.is_initialized() else 0.0


def known_gpus(cluster: ClusterConfig) -> int:
    """Return how many GPUs the cluster has, or can have by its configuration."""
    return max(cluster.gpus or 0, int(total(all_nodes(), "GPU")))


def bundles_for(bundles: Sequence[Node], cluster: ClusterConfig, stage: str) -> dict[str, float]:
    """Return the CPUs and GPUs that the cluster has or can have; waits for an autoscaler.

    Args:
        bundles: what must be there; at the end of the time it may still not be.
        cluster: what the cluster can have, and how long to wait.
        stage: who needs them, for messages.
    """
    can_have = {"CPU": float(cluster.cpus or 0), "GPU": float(cluster.gpus or 0)}
    found = _sums(all_nodes())
    needed = _sums(bundles)
    can_grow = os.environ.get("RAY_ADDRESS") and cluster.wait_minutes
    if can_grow and not _holds(found, needed):
        words = " and ".join(f"{amount:g} {kind}s" for kind, amount in needed.items())
        _say(f"{stage}: waiting up to {cluster.wait_minutes:g} min for {words}")
        _ask(bundles, cluster, lambda: _holds(_sums(all_nodes()), needed))
        found = _sums(all_nodes())
    if not _holds(found, needed):
        return found
    return {kind: max(amount, can_have[kind]) for kind, amount in found.items()}


def _holds(found: Mapping[str, float], needed: Mapping[str, float]) -> bool:
    return all(found[kind] >= needed[kind] for kind in KINDS)


def room_for(demand: Demand, cluster: ClusterConfig, stage: str, *, least: int = 1) -> list[Node]:
    """Return the free nodes once the workers fit on them; waits for an autoscaler or other jobs.

    After a wait that was in vain, stages wait for their first worker only, unless the user has said
    how many there are.

    Args:
        demand: the workers.
        cluster: how long to wait.
        stage: who needs them, for messages.
        least: so few workers are accepted when the time is over.

    Raises: InputError if fewer than `least` fit then.
    """
    nodes = free_nodes()
    # A cluster that this command started for itself cannot grow, and nobody else uses it.
    enough = _enough(demand)
    if os.environ.get("RAY_ADDRESS") and _room(nodes, demand) < enough:
        nodes = _wait(demand, cluster, stage)
    found = _room(nodes, demand)
    if found < least:
        raise InputError(
            f"{stage} needs {demand}; the cluster has room for {found} ({described(nodes)} free); "
            "add nodes, wait longer (cluster.wait_minutes), or ask for fewer workers"
        )
    return nodes


def _enough(demand: Demand) -> int:
    return 1 if IN_VAIN.is_set() and not demand.is_fixed else demand.count


def _room(nodes: Sequence[Node], demand: Demand) -> int:
    return min(demand.count, fitting(nodes, demand.cpus, demand.gpus))


def _wait(demand: Demand, cluster: ClusterConfig, stage: str) -> list[Node]:
    """Ask the autoscaler for the workers' resources, and wait until they are there."""
    nodes = free_nodes()
    if not cluster.wait_minutes:
        return nodes
    _say(
        f"{stage}: waiting up to {cluster.wait_minutes:g} min for {demand}; "
        f"there is room for {_room(nodes, demand)}"
    )
    bundles = demand.count * [demand.bundle]
    enough = _enough(demand)
    _ask(bundles, cluster, lambda: _room(free_nodes(), demand) >= enough)
    nodes = free_nodes()
    if _room(nodes, demand) < demand.count:
        IN_VAIN.set()
    _say(f"{stage}: there is room for {_room(nodes, demand)} of {demand.count}")
    return nodes


def _ask(bundles: Sequence[Node], cluster: ClusterConfig, is_there: Callable[[], bool]) -> None:
    """Ask the autoscaler for resources until they are there, or the time is over."""
    deadline = time.monotonic() + cluster.wait_minutes * MINUTE
    request_resources(bundles=[dict(bundle) for bundle in bundles if bundle])
    try:
        while not is_there() and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
    finally:
        request_resources(bundles=[])  # from now on the workers themselves keep the nodes


def _say(text: str) -> None:
    tqdm.write(text, file=sys.stderr)  # not behind the bar of the stage, on its line
    sys.stderr.flush()
