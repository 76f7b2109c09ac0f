"""Workers of an extraction and the resources that each asks Ray for."""

from dataclasses import dataclass

from otcondense.errors import InputError
from pipeline.extraction_config import ExtractionConfig


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
    config: ExtractionConfig, cluster: dict[str, float], *, uses_gpu: bool
) -> Resources:
    """Return the workers on a cluster with these total resources.

    Args:
        config: settings; None there means all that helps.
        cluster: total resources as Ray names them.
        uses_gpu: whether the network may use a GPU.

    Raises: InputError if the cluster is too small; Ray Data would wait for ever.
    """
    cpus = cluster.get("CPU", 0.0)
    gpus = cluster.get("GPU", 0.0) if uses_gpu else 0.0
    encoders = config.num_encoders or _most_encoders(config, cpus, gpus)
    per_encoder = config.cpus_per_encoder or max(1.0, cpus // encoders)
    if encoders * per_encoder > cpus:
        raise InputError(
            f"extraction needs {encoders * per_encoder:g} CPUs for {encoders} encoder(s), the "
            f"cluster has {cpus:g}; lower extraction.num_encoders or cpus_per_encoder"
        )
    gpus_each = config.gpus_per_encoder
    if gpus_each is None:
        gpus_each = 1.0 if gpus else 0.0
    if encoders * gpus_each > cluster.get("GPU", 0.0):
        raise InputError(
            f"extraction needs {encoders * gpus_each:g} GPUs for {encoders} encoder(s), the "
            f"cluster has {cluster.get('GPU', 0.0):g}; lower extraction.num_encoders or "
            "gpus_per_encoder"
        )
    return Resources(encoders, per_encoder, gpus_each, max(1, int(per_encoder)))


def _most_encoders(config: ExtractionConfig, cpus: float, gpus: float) -> int:
    """Return as many encoders as there are GPUs, or as CPUs if there are none."""
    if gpus:
        return max(1, int(gpus / (config.gpus_per_encoder or 1.0)))
    return max(1, int(cpus / (config.cpus_per_encoder or 1.0)))
