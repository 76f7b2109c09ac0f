"""A training of a run for a loop of your own, such as one that `torchrun` starts."""

from pathlib import Path

from otcondense.diffusion.train_job import TrainJob
from otcondense.training_data.workflow import ask_workflow

PREPARE = "jobs.train.prepare"
"""Module of the workflow that writes the inputs of a training."""


def prepare_training(run: str | Path, model: str, method: str = "geometry_aware") -> TrainJob:
    """Write the inputs of a training of a run, as `otcondense train` does, and return its job.

    One process must call it; the others get `TrainJob.settings` from it.

    Args:
        run: run directory, or its URI.
        model: name of the model in the configuration of the run.
        method: name of the subset.

    Raises: InputError if there is no such run, model or subset, another command works on the run,
        or an earlier stage has not finished.
    """
    return TrainJob.from_settings(ask_workflow(PREPARE, str(run), model, method))
