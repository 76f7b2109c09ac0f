"""Extract the text embedding of every class name: `python -m jobs.extract_text`."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
import torch

from jobs.cluster.start import start_ray
from jobs.command.progress import note
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.representations import TextConfig, TextModel
from otcondense.representations.tables import write_text
from otcondense.store import Store
from pipeline.cluster_config import ClusterConfig
from pipeline.failures import packed, raise_packed
from pipeline.nodes import Demand
from pipeline.room import known_gpus, room_for


@dataclass(frozen=True)
class TextWork:
    """The embedding of all class names: minutes of one GPU, there are few."""

    root: str
    file: str
    classes: dict[int, str]
    config: TextConfig

    def run(self, *, assigned: bool | None = None) -> bool:
        """Write the embeddings; returns False if they are there already.

        Args:
            assigned: whether the cluster gave this process a GPU; None without a cluster.
        """
        model = TextModel(self.config, assigned=assigned)
        return write_text(Store(self.root), self.file, self.classes, self.config, model)


def extract(run: Run) -> None:
    """Embed the names of all classes, also of those without images."""
    classes = dict(enumerate(run_listing(run).classes))
    config = run.config.text
    if config.names is not None:
        config = config.model_copy(update={"names": str(Path(config.names).absolute())})
    work = TextWork(run.store.root, run.text_file(), classes, config)
    # A trial has reserved its GPU, and uses no cluster for the inputs of its training.
    lacks_gpu = config.device != "cpu" and not torch.cuda.is_available()
    if lacks_gpu and os.environ.get("RAY_ADDRESS") and run.config.representations.uses_cluster:
        is_new = embed_on_cluster(work, run.config.cluster)
    else:
        is_new = work.run()
    finished = "" if is_new else ", already finished"
    note("text", f"embeddings of {len(classes)} class names in {run.text_file()}{finished}")


def embed_on_cluster(work: TextWork, cluster: ClusterConfig) -> bool:
    """Embed on a GPU of the cluster, which the node of the driver may not have.

    Returns: as `TextWork.run`.

    Raises: InputError if no GPU becomes free in time, or torch cannot use it.
    """
    start_ray()
    if work.config.device == "auto" and not known_gpus(cluster):
        return work.run()
    room_for(Demand(1, 1.0, 1.0), cluster, "text")
    task: Any = ray.remote(_embed).options(num_cpus=1, num_gpus=1)
    is_new, error = ray.get(task.remote(work))
    raise_packed(error)
    return bool(is_new)


def _embed(work: TextWork) -> tuple[bool, bytes]:
    """Embed in a task; an error is returned, not raised."""
    try:
        return work.run(assigned=True), b""
    except Exception as error:  # noqa: BLE001 - raised in the driver
        return False, packed(error)
