"""Checkpoints, and the results that depend on them."""

from collections.abc import Iterator

from jobs.run_directory.run import CURVE_FILE, Run
from jobs.verify.files import MISSING, Problem
from otcondense.diffusion.checkpoint_state import (
    STATE_FILE,
    checkpoint_directory,
    latest_checkpoint,
    open_checkpoint,
)
from otcondense.diffusion.loss_lines import curve_text
from otcondense.errors import InputError


def check_checkpoints(run: Run) -> Iterator[Problem]:
    """Check the hashes of every checkpoint that exists."""
    names = [name for name in run.store.list("training") if "/checkpoints/" in name]
    for place in sorted({name.rsplit("/", 1)[0] for name in names}):
        try:
            open_checkpoint(run.store, place)
        except InputError as error:
            yield Problem(f"{place}/{STATE_FILE}", str(error))


def check_trainings(run: Run) -> Iterator[Problem]:
    """Check that loss curves agree with checkpoints, and that no input of a result is missing."""
    yield from _check_curves(run)
    for model, method, step in run.checkpoints():
        yield from _check_results(run, model, method, step)


def _check_curves(run: Run) -> Iterator[Problem]:
    """Check the loss curve of each finished training against the one in its newest checkpoint.

    An earlier, longer training may have left the newest checkpoint.
    """
    for model, method in run.trainings():
        directory = run.training_directory(model, method)
        last_step = run.config.models[model].training.kept_steps[-1]
        last = checkpoint_directory(directory, last_step)
        newest = latest_checkpoint(run.store, directory)
        if newest is None or not run.store.exists(f"{last}/{STATE_FILE}"):
            continue
        name = f"{directory}/{CURVE_FILE}"
        if not run.store.exists(name):
            yield Problem(name, MISSING)
        elif run.store.read_bytes(name) != curve_text(newest.state.curve or ()):
            yield Problem(name, "it differs from the loss curve in the newest checkpoint")


def _check_results(run: Run, model: str, method: str, step: int) -> Iterator[Problem]:
    """Check that no input of a result is missing: images, checkpoint, sampled images."""
    state = f"{checkpoint_directory(run.training_directory(model, method), step)}/{STATE_FILE}"
    directory = run.samples_directory(model, method, step)
    is_measured = run.store.exists(run.metrics_file(model, method, step))
    is_sampled = bool(run.store.list(directory))
    if (is_measured or is_sampled) and not run.store.exists(state):
        yield Problem(state, MISSING)
    is_pixels = run.config.models[model].training.data == "pixels"
    images = run.images_file(method)
    if is_pixels and run.store.exists(state) and not run.store.exists(images):
        yield Problem(images, MISSING)
    if not is_measured:
        return
    from otcondense.diffusion.samples import part_name, sampling_units

    for number, _ in enumerate(sampling_units(run.config.models[model].sampling)):
        name = f"{directory}/{part_name(number)}"
        if not run.store.exists(name):
            yield Problem(name, MISSING)
