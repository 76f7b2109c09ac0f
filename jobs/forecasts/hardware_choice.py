"""The hardware that `--dry-run` forecasts for: a preset, a file, a Ray cluster, this machine."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.command.settings import build, read_values
from jobs.run_directory.config import RunConfig
from otcondense.errors import InputError
from otcondense.forecast.hardware import PRESETS, Hardware
from otcondense.machine import usable_cpus
from otcondense.near_names import did_you_mean
from pipeline.cluster_config import ClusterConfig

HERE = "here"
CLUSTER = "cluster"
DEFAULT_CLUSTER = "8xH100"
"""Forecast for a run that needs GPUs if neither this machine nor a cluster says what there is."""
CPU_MEMORY_GB_PER_S = 10.0
"""Memory of a machine without a GPU, in 10^9 bytes a second; assumed."""
ADDRESS = "RAY_ADDRESS"


def chosen_hardware(on: str | None, config: RunConfig) -> Hardware:
    """Return the hardware called `on`.

    Args:
        on: a preset; a YAML file of the fields of `Hardware`; `cluster` (that of RAY_ADDRESS);
            `here`. None takes the cluster of RAY_ADDRESS if it is set, else what the settings
            `cluster.gpus` and `cluster.cpus` say, else this machine, unless the configuration
            needs a GPU that it does not have: then the preset 8xH100.
        config: of the run.

    Raises: InputError for another name, or a mistake in the file.
    """
    if on is None and not os.environ.get(ADDRESS) and config.cluster.gpus is not None:
        return configured(config.cluster)
    if on is None:
        on = _usual(config)
    if on in PRESETS:
        return PRESETS[on]
    if on == HERE:
        return this_machine()
    if on == CLUSTER:
        return _connected()
    if on.endswith((".yaml", ".yml")):
        values: dict[str, Any] = {"name": on, **read_values(on, [], "hardware file")}
        return build(Hardware, values, on)
    names = [*PRESETS, CLUSTER, HERE]
    raise InputError(
        f"--on must be one of {', '.join(names)}, or a .yaml file, found {on!r}"
        f"{did_you_mean(on, names)}"
    )


def _usual(config: RunConfig) -> str:
    if os.environ.get(ADDRESS):
        return CLUSTER
    devices = [each.device for each in config.selecting]
    devices += [each.training.device for each in config.models.values()]
    return DEFAULT_CLUSTER if "cuda" in devices and not _gpus_here() else HERE


def _gpus_here() -> int:
    import torch

    return torch.cuda.device_count()


def this_machine() -> Hardware:
    """Return this machine; its GPUs are taken to be as fast as an H100."""
    cores = usable_cpus()
    return nodes_of("this machine", 1, _gpus_here(), cores)


def nodes_of(name: str, nodes: int, gpus: int, cores: int) -> Hardware:
    """Return nodes of these GPUs and cores; without GPUs, memory is that of the host."""
    values: dict[str, Any] = {} if gpus else {"memory_gb_per_s": CPU_MEMORY_GB_PER_S}
    return Hardware(name=name, nodes=nodes, gpus_per_node=gpus, cores_per_node=cores, **values)


def configured(cluster: ClusterConfig) -> Hardware:
    """Return the cluster of a configuration, as nodes of up to eight GPUs."""
    gpus = cluster.gpus or 0
    nodes = max(1, -(-gpus // Hardware().gpus_per_node))
    usual = Hardware().cores_per_node * nodes
    cores = usual if cluster.cpus is None else cluster.cpus
    return nodes_of("cluster of the settings", nodes, gpus // nodes, max(1, cores // nodes))


def _connected() -> Hardware:
    import ray

    from jobs.cluster.start import start_ray

    if not os.environ.get(ADDRESS):
        raise InputError(f"--on {CLUSTER} needs the address of one in {ADDRESS}, found none")
    start_ray()
    nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
    return of_nodes([node["Resources"] for node in nodes if node["Alive"]])


def of_nodes(resources: Sequence[Mapping[str, float]]) -> Hardware:
    """Return the hardware of a Ray cluster: its nodes with GPUs, all cores shared among them.

    Nodes with another number of GPUs than most are counted by their GPUs.

    Args:
        resources: of each node, as Ray names them.

    Raises: InputError if there is no node with CPUs.
    """
    gpus = [int(node.get("GPU", 0)) for node in resources]
    cores = sum(int(node.get("CPU", 0)) for node in resources)
    if not cores:
        raise InputError("a forecast needs a cluster with CPUs, found none; start its nodes")
    with_gpus = [count for count in gpus if count]
    if not with_gpus:
        nodes = sum(node.get("CPU", 0) > 0 for node in resources)
        return nodes_of("the cluster", nodes, 0, max(1, cores // nodes))
    usual = Counter(with_gpus).most_common(1)[0][0]
    nodes = max(1, sum(with_gpus) // usual)
    return nodes_of("the cluster", nodes, usual, max(1, cores // nodes))
