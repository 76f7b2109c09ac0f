"""Checkpoints and what was made from them."""

from collections.abc import Iterator

from jobs.run_directory.run import CURVE_FILE, Run
from jobs.run_directory.stages import verb_of
from jobs.verify.files import Problem
from otcondense.diffusion.checkpoint import (
    STATE_FILE,
    checkpoint_directory,
    latest_checkpoint,
    open_checkpoint,
)
from otcondense.diffusion.loss_lines import curve_text
from otcondense.diffusion.samples import part_name, sampling_units
from otcondense.errors import InputError


def check_checkpoints(run: Run) -> Iterator[Problem]:
    """Check the hashes of every checkpoint that is there."""
    places = {
        name.rsplit("/", 1)[0] for name in run.store.list("training") if "/checkpoints/" in name
    }
    for place in sorted(places):
        try:
            open_checkpoint(run.store, place)
        except InputError as error:
            yield Problem(f"{place}/{STATE_FILE}", str(error), verb_of(place))


def check_curves(run: Run) -> Iterator[Problem]:
    """Check the loss curve of each finished training against the one in its newest checkpoint, which an earlier, longer training may have left."""
    for model, method in run.trainings():
        directory = run.training_directory(model, method)
        last, name = (
            checkpoint_directory(directory, run.config.models[model].training.kept_steps[-1]),
            f"{directory}/{CURVE_FILE}",
        )
        newest = latest_checkpoint(run.store, directory)
        if newest is None or not run.store.exists(f"{last}/{STATE_FILE}"):
            continue
        if not run.store.exists(name):
            yield Problem(name, "the file is missing", "train")
        elif run.store.read_bytes(name) != curve_text(newest.state["curve"]):
            yield Problem(name, "it is not the curve that the newest checkpoint keeps", "train")


def check_trainings(run: Run) -> Iterator[Problem]:
    """Check that what was sampled has its checkpoint, and what was measured its samples."""
    yield from check_curves(run)
    for model, method, step in run.checkpoints():
        state = f"{checkpoint_directory(run.training_directory(model, method), step)}/{STATE_FILE}"
        directory = run.samples_directory(model, method, step)
        measured = run.store.exists(run.metrics_file(model, method, step))
        if (measured or run.store.list(directory)) and not run.store.exists(state):
            yield Problem(state, "the file is missing", "train")
        for number, _ in enumerate(sampling_units(run.config.models[model].sampling)):
            if measured and not run.store.exists(f"{directory}/{part_name(number)}"):
                yield Problem(f"{directory}/{part_name(number)}", "the file is missing", "sample")
