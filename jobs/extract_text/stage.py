"""Extract the embedding of every class name, or of captions: `otcondense extract_text`."""

import os
from pathlib import Path

from jobs.cluster.start import start_ray
from jobs.command.progress import note
from jobs.command.wording import EARLIER
from jobs.extract_text.captions import extract_run_captions
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.counts import counted
from otcondense.representations import TextModel
from otcondense.representations.tables import has_text, write_text
from otcondense.representations.text_config import CAPTIONS
from pipeline.text_task import TextJob, write_text_on_cluster


def extract(run: Run) -> None:
    """Embed the class names, or the captions of the configured images.

    Raises: InputError if captions are asked for and missing, or the model cannot be used.
    """
    if run.config.text.of == CAPTIONS:
        extract_run_captions(run)
    else:
        _extract_names(run)


def _extract_names(run: Run) -> None:
    """Embed the names of all classes, also of those without images.

    There are few, so one process does it: this one, or a task of the cluster, whose head may have
    no GPU.
    """
    classes = dict(enumerate(run_listing(run).classes))
    extract_text = _on_cluster if _needs_cluster(run) else _here
    finished = "" if extract_text(run, classes) else f", {EARLIER}"
    names = counted(len(classes), "class name")
    note("text", f"embeddings of {names} in {run.text_file()}{finished}")


def _needs_cluster(run: Run) -> bool:
    config = run.config
    is_elsewhere = bool(os.environ.get("RAY_ADDRESS")) and config.representations.uses_cluster
    return is_elsewhere and config.text.device != "cpu"


def _here(run: Run, classes: dict[int, str]) -> bool:
    config = run.config.text
    return write_text(run.store, run.text_file(), classes, config, TextModel(config))


def _on_cluster(run: Run, classes: dict[int, str]) -> bool:
    """Return False if the embeddings are there; the model is loaded here to learn its digest."""
    config = run.config.text
    model = TextModel(config.model_copy(update={"device": "cpu"}))
    if has_text(run.store, run.text_file(), classes, config, model):
        return False
    del model  # the task may run on this machine
    start_ray()
    if config.names is not None:  # the worker may have another working directory
        config = config.model_copy(update={"names": str(Path(config.names).absolute())})
    job = TextJob(run.store.root, run.text_file(), classes, config)
    write_text_on_cluster(job, run.config.representations, run.config.cluster)
    return True
