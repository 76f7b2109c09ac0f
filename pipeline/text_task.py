"""Text embeddings of class names, made by a task of the cluster."""

from dataclasses import dataclass, replace
from typing import Any

import ray

from otcondense.representations import TextConfig, TextModel
from otcondense.representations.tables import write_text
from otcondense.store import Store
from pipeline.cluster_config import ClusterConfig
from pipeline.extraction_config import ExtractionConfig
from pipeline.failures import packed, raise_packed
from pipeline.nodes import Demand
from pipeline.resources import gpus_of_each
from pipeline.room import known_gpus, room_for


@dataclass(frozen=True)
class TextJob:
    """Class names to embed, and the file of the result."""

    root: str
    """Root of the run."""
    name: str
    """Of the file."""
    classes: dict[int, str]
    """Class names by class index."""
    config: TextConfig
    assigned: bool = False
    """Whether the cluster gives the task a GPU."""


def write_text_on_cluster(
    job: TextJob, resources: ExtractionConfig, cluster: ClusterConfig
) -> None:
    """Write text embeddings in one task, on a GPU if the cluster has one.

    Args:
        job: the names and the file.
        resources: GPUs of a worker; None there means all that helps.
        cluster: what the cluster can have, and how long to wait for it.

    Raises: InputError if the cluster has no room, or a name or a weight is missing.
    """
    gpus = gpus_of_each(resources, job.config.device, known_gpus(cluster))
    demand = Demand(1, 1.0, gpus)
    room_for(demand, cluster, "text")
    remote: Any = ray.remote(embed).options(num_cpus=demand.cpus, num_gpus=gpus)
    raise_packed(ray.get(remote.remote(replace(job, assigned=gpus > 0))))


def embed(job: TextJob) -> bytes:
    """Write the embeddings in a worker; returns its packed error, empty if there is none."""
    try:
        model = TextModel(job.config, assigned=job.assigned)
        write_text(Store(job.root), job.name, job.classes, job.config, model)
    except Exception as error:  # noqa: BLE001 - raised in the driver
        return packed(error)
    return b""
