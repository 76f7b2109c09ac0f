"""The resources that an evaluation asks for; a network never moves to a CPU without a word."""

from collections.abc import Sequence
from dataclasses import dataclass

from otcondense.devices import DeviceSetting
from otcondense.errors import InputError
from pipeline.extraction_config import ExtractionConfig
from pipeline.nodes import Node, total
from pipeline.resources import Resources, plan_resources


@dataclass(frozen=True)
class EvaluationResources:
    """Resources of an evaluation on a cluster."""

    encoders: Resources
    """Workers that encode images."""
    metrics_cpus: float
    """CPUs of the task that computes the metrics of a set."""
    metrics_gpus: float
    """GPUs of this task."""

    @property
    def device(self) -> str:
        """Where networks and metrics compute."""
        return "cuda" if self.metrics_gpus else "cpu"


def plan_evaluation(
    config: ExtractionConfig,
    nodes: Sequence[Node],
    device: DeviceSetting,
    known: float | None = None,
) -> EvaluationResources:
    """Return the resources of an evaluation on a cluster of these nodes.

    Encoding has the workers of the extraction. Metrics have one whole GPU, or without GPUs all CPUs
    of a node.

    Args:
        config: settings; None there means all that helps.
        nodes: free resources of each node.
        device: of the network.
        known: GPUs that the cluster has or can have, as for `plan_resources`.

    Raises: InputError if the cluster is too small, or the device is not cpu and the workers would
        have no GPU although there are some.
    """
    encoders = plan_resources(config, nodes, device, known)
    refuse_silent_cpu(device, gpus=encoders.gpus, cluster_gpus=total(nodes, "GPU"))
    if encoders.gpus:
        return EvaluationResources(encoders, encoders.cpus, 1.0)
    return EvaluationResources(encoders, max(node.get("CPU", 1.0) for node in nodes), 0.0)


def refuse_silent_cpu(device: DeviceSetting, *, gpus: float, cluster_gpus: float) -> None:
    """Check that the evaluation has a GPU if it should.

    Args:
        device: of the network, as configured.
        gpus: those that a worker or this process has.
        cluster_gpus: those of the whole cluster.

    Raises: InputError naming the settings.
    """
    if gpus or device == "cpu":
        return
    if device == "cuda":
        raise InputError(
            "judge.device=cuda needs a GPU for every worker of the evaluation, found none "
            f"(the cluster has {cluster_gpus:g}); set extraction.gpus_per_encoder=1 on a cluster "
            "with GPUs, or judge.device=cpu"
        )
    if cluster_gpus:
        raise InputError(
            f"the cluster has {cluster_gpus:g} GPUs, and the evaluation would compute on a CPU, "
            "which takes hours; set extraction.gpus_per_encoder=1 and no extraction.num_encoders, "
            "driver_gpus=1 in a sweep or comparison, or judge.device=cpu if you want that"
        )
