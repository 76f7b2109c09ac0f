"""Workers of an extraction and the resources that each asks Ray for."""

from collections.abc import Sequence
from dataclasses import dataclass

from otcondense.counts import counted
from otcondense.devices import DeviceSetting
from otcondense.errors import InputError
from pipeline.cluster_config import ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.nodes import Demand, Node, described, fitting, total

LEAST_CPUS = 1.0
"""CPUs that a worker needs at least, for the threads that read and decode."""


@dataclass(frozen=True)
class Resources:
    """Workers of an extraction."""

    encoders: int
    """Workers at the same time."""
    cpus: float
    """CPUs of each worker."""
    gpus: float
    """GPUs of each worker."""
    threads: int
    """Threads of each worker that read and decode images."""


def plan_resources(
    config: ExtractionConfig,
    nodes: Sequence[Node],
    device: DeviceSetting,
    known: float | None = None,
) -> Resources:
    """Return the workers on a cluster of these nodes.

    Args:
        config: settings; None there means all that helps.
        nodes: resources of each node that are free.
        device: of the network, as configured.
        known: GPUs that the cluster has or can have, also those that are not free; None takes
            those of the nodes.

    Raises: InputError if the cluster is too small; Ray Data would wait for ever.
    """
    gpus = gpus_of_each(config, device, total(nodes, "GPU") if known is None else known)
    least = config.cpus_per_encoder or LEAST_CPUS
    room = fitting(nodes, least, gpus)
    encoders = config.num_encoders or max(1, room)
    if encoders > room:
        raise InputError(
            f"extraction needs {encoders} times {least:g} CPUs and {gpus:g} GPUs, each on one "
            f"node, for {counted(encoders, 'encoder')}; the cluster has room for {room} "
            f"({described(nodes)} free); lower extraction.num_encoders, cpus_per_encoder or "
            f"gpus_per_encoder{', or set device=cpu for the network' if gpus else ''}"
        )
    cpus = config.cpus_per_encoder or _most_cpus(nodes, encoders, gpus)
    return Resources(encoders, cpus, gpus, max(1, int(cpus)))


def plan_demand(
    config: ExtractionConfig, gpus: int, cluster: ClusterConfig, device: DeviceSetting
) -> Demand:
    """Return the workers to wait for: those asked for, else one for each GPU that will be there.

    Args:
        config: settings.
        gpus: GPUs that the cluster has or can have.
        cluster: what the cluster can have by its configuration.
        device: of the network, as configured.

    Raises: InputError if GPUs would stay idle.
    """
    each = gpus_of_each(config, device, gpus)
    cpus = config.cpus_per_encoder or LEAST_CPUS
    count = config.num_encoders or 1
    if config.num_encoders is None:
        expected = (cluster.gpus or 0) / each if each else (cluster.cpus or 0) / cpus
        count = max(1, int(expected))
    return Demand(count, cpus, each, is_fixed=config.num_encoders is not None)


def gpus_of_each(config: ExtractionConfig, device: DeviceSetting, gpus: float) -> float:
    """Return the GPUs of each worker.

    Args:
        config: settings.
        device: of the network, as configured.
        gpus: GPUs of the cluster.

    Raises: InputError if they would stay idle.
    """
    wanted = device == "cuda" or (device == "auto" and gpus > 0)
    if config.gpus_per_encoder is None:
        return 1.0 if wanted else 0.0
    if wanted and not config.gpus_per_encoder:
        raise InputError(
            "gpus_per_encoder must be above 0 for a network whose device is not cpu on a cluster "
            "with GPUs, found 0; leave it out, or set the network's device=cpu"
        )
    return config.gpus_per_encoder


def _most_cpus(nodes: Sequence[Node], encoders: int, gpus: float) -> float:
    """Return the whole number of CPUs that each of so many workers can have."""
    cpus = int(max(node.get("CPU", 0.0) for node in nodes))
    while cpus > 1 and fitting(nodes, cpus, gpus) < encoders:
        cpus -= 1
    return float(cpus)
