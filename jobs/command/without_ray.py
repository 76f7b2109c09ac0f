"""A run in one process, without Ray: as it is asked for, or where Ray does not start."""

from collections.abc import Callable
from typing import Any

from jobs.command.progress import note
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.run import Run
from otcondense.errors import InputError

SMALL_IMAGES = 10_000
"""Most images of a source whose work goes on without Ray if that does not start: one core encodes
them with a small network in a quarter of an hour."""


class NoRayError(InputError):
    """Ray did not start on this machine."""


def on_ray_or_here(run: Run, command: Callable[[Run], int | None]) -> int | None:
    """Run a verb with Ray, or in this process.

    It works in this process with `cluster.use_ray=false`. By default it also does so if Ray does
    not start and the source has at most `SMALL_IMAGES` images. What was finished is kept.

    Raises: NoRayError if Ray does not start, and the work is not small or needs Ray.
    """
    if run.config.cluster.use_ray is False:
        return command(in_one_process(run))
    try:
        return command(run)
    except NoRayError as error:
        if run.config.cluster.use_ray is True or not _is_small(run):
            raise
        note(
            "ray",
            f"{error}; the source has at most {SMALL_IMAGES:,} images, so that this command goes "
            "on without Ray (cluster.use_ray=false does so from the start, true never)",
        )
    return command(in_one_process(run))


def _is_small(run: Run) -> bool:
    return len(run_listing(run)) <= SMALL_IMAGES


def in_one_process(run: Run) -> Run:
    """Return the run with no workers in any stage; its results keep their names."""
    made = Run(without_workers(run.config))
    made.scanned[:] = run.scanned
    return made


def without_workers(config: RunConfig) -> RunConfig:
    """Return a configuration whose stages all work in the process of the command."""
    no_encoders = {"num_encoders": 0}
    no_actors = {"num_actors": 0}
    selection = config.selection
    pool = selection.pool.model_copy(update=no_actors)
    models: dict[str, Any] = {}
    for name, model in config.models.items():
        training = model.training.model_copy(update={"num_workers": 0})
        models[name] = model.model_copy(update={"training": training})
    changes = {
        "extraction": config.extraction.model_copy(update=no_encoders),
        "representations": config.representations.model_copy(update=no_encoders),
        "samplers": config.samplers.model_copy(update=no_actors),
        "selection": selection.model_copy(update={"pool": pool}),
        "models": models,
    }
    return config.model_copy(update=changes)
