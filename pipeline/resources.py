"""Workers of an extraction and the resources that each asks Ray for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from otcondense.errors import InputError
from pipeline.extraction_config import ExtractionConfig

Node = Mapping[str, float]
"""Resources of one node as Ray names them."""


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


def plan_resources(config: ExtractionConfig, nodes: Sequence[Node], *, uses_gpu: bool) -> Resources:
    """Return the workers on a cluster of these nodes.

    Args:
        config: settings; None there means all that helps.
        nodes: total resources of each node: a worker needs all of its resources on one.
        uses_gpu: whether the network may use a GPU.

    Raises: InputError if the cluster is too small; Ray Data would wait for ever.
    """
    has_gpus = uses_gpu and any(node.get("GPU") for node in nodes)
    gpus = config.gpus_per_encoder
    if gpus is None:
        gpus = 1.0 if has_gpus else 0.0
    least = config.cpus_per_encoder or 1.0
    fitting = _fitting(nodes, least, gpus)
    encoders = config.num_encoders or max(1, fitting)
    if encoders > fitting:
        raise InputError(
            f"extraction needs {encoders} times {least:g} CPUs and {gpus:g} GPUs, each on one "
            f"node, for {encoders} encoder(s); the cluster has room for {fitting} "
            f"({_described(nodes)}); lower extraction.num_encoders, cpus_per_encoder or "
            "gpus_per_encoder"
        )
    cpus = config.cpus_per_encoder or _most_cpus(nodes, encoders, gpus)
    return Resources(encoders, cpus, gpus, max(1, int(cpus)))


def _fitting(nodes: Sequence[Node], cpus: float, gpus: float) -> int:
    """Return how many workers fit on the nodes."""
    return sum(_fitting_on(node, cpus, gpus) for node in nodes)


def _fitting_on(node: Node, cpus: float, gpus: float) -> int:
    by_cpu = int(node.get("CPU", 0.0) / cpus)
    return min(by_cpu, int(node.get("GPU", 0.0) / gpus)) if gpus else by_cpu


def _most_cpus(nodes: Sequence[Node], encoders: int, gpus: float) -> float:
    """Return the whole number of CPUs that each of so many workers can have."""
    cpus = int(max(node.get("CPU", 0.0) for node in nodes))
    while cpus > 1 and _fitting(nodes, cpus, gpus) < encoders:
        cpus -= 1
    return float(cpus)


def _described(nodes: Sequence[Node]) -> str:
    """Return the resources of the largest nodes, for a message."""
    different = sorted({(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes})
    texts = [f"{cpus:g} CPUs and {gpus:g} GPUs" for cpus, gpus in reversed(different)]
    return f"{len(nodes)} node(s) of up to {texts[0]}" if texts else "no node"
