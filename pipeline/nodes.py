"""The nodes of a cluster as plain numbers: how many workers fit on them.

A worker needs all of its resources on one node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from otcondense.counts import counted

Node = Mapping[str, float]
"""Resources of one node as Ray names them."""


@dataclass(frozen=True)
class Demand:
    """Workers of one kind, and the resources of each; CPUs or GPUs must be positive."""

    count: int
    cpus: float
    gpus: float = 0.0
    is_fixed: bool = field(default=False, compare=False)
    """Whether the user asked for this number, so that fewer are of no use."""

    @property
    def bundle(self) -> dict[str, float]:
        """The resources of one worker as Ray names them."""
        both = {"CPU": self.cpus, "GPU": self.gpus}
        return {kind: amount for kind, amount in both.items() if amount}

    def __str__(self) -> str:
        return f"{counted(self.count, 'worker')} of {self.cpus:g} CPUs and {self.gpus:g} GPUs"


def total(nodes: Sequence[Node], kind: str) -> float:
    """Return the sum of one kind of resource, CPU or GPU."""
    return sum(node.get(kind, 0.0) for node in nodes)


def fitting(nodes: Sequence[Node], cpus: float, gpus: float) -> int:
    """Return how many workers of these resources fit on the nodes at the same time."""
    return sum(fitting_on(node, cpus, gpus) for node in nodes)


def fitting_on(node: Node, cpus: float, gpus: float) -> int:
    """Return how many workers of these resources fit on one node."""
    bundle = Demand(1, cpus, gpus).bundle
    return min(int(node.get(kind, 0.0) / amount) for kind, amount in bundle.items())


def described(nodes: Sequence[Node]) -> str:
    """Return the number of nodes and the resources of the largest, for a message."""
    different = sorted({(node.get("CPU", 0.0), node.get("GPU", 0.0)) for node in nodes})
    texts = [f"{cpus:g} CPUs and {gpus:g} GPUs" for cpus, gpus in reversed(different)]
    return f"{counted(len(nodes), 'node')} of up to {texts[0]}" if texts else "no node"
