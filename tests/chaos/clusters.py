"""Faults of a cluster of several nodes, each a raylet of this machine."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.faults import Fault
from tests.chaos.kinds import CREWS, UNITS, in_stage, started, worker_of
from tests.chaos.subject import Subject
from tests.commands import Ended


@contextmanager
def cluster_of(head_cpus: int, *nodes: int) -> Iterator[tuple[Any, list[Any]]]:
    from ray.cluster_utils import Cluster

    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": head_cpus, "include_dashboard": False}
    )
    try:
        yield cluster, [cluster.add_node(num_cpus=cpus) for cpus in nodes]
    finally:
        cluster.shutdown()


def on_node(subject: Subject, run: Path, fault: Fault) -> Ended:
    pools = tuple(
        f"{name}={{num_actors: 2, num_cpus: 1.0}}" for name in ("selection.pool", "samplers")
    )
    with (
        cluster_of(0, 1, 1) as (cluster, nodes),
        started(subject, run, pools, RAY_ADDRESS=cluster.address) as command,
    ):
        command.workers = lambda title: [
            each for each in _workers_of(nodes) if title in " ".join(each.cmdline())
        ]
        worker = worker_of(command, UNITS[fault.stage], fault.settings["delay"])
        node = next(
            node for node in nodes if node.all_processes["raylet"][0].process.pid == worker.ppid()
        )
        cluster.remove_node(node, allow_graceful=False)
        return command.end()


def _workers_of(nodes: list[Any]) -> list[Any]:
    import psutil

    return [
        child
        for node in nodes
        for child in psutil.Process(node.all_processes["raylet"][0].process.pid).children()
    ]


def on_head(subject: Subject, run: Path, fault: Fault) -> Ended:
    patience = {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"}
    crew = CREWS.get(fault.stage, ())
    with (
        cluster_of(2) as (cluster, _),
        started(subject, run, crew, RAY_ADDRESS=cluster.address, **patience) as command,
    ):
        in_stage(command, run, fault.stage, fault.settings["delay"])
        cluster.remove_node(cluster.head_node, allow_graceful=False)
        return command.end()
