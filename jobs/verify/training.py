"""Checkpoints, and the results that depend on them."""

from collections.abc import Iterator
from contextlib import suppress

from jobs.run_directory.run import Run
from jobs.verify.files import MISSING, Problem
from otcondense.diffusion.checkpoint_files import latest_checkpoint, read_checkpoint
from otcondense.diffusion.checkpoint_state import (
    STATE_FILE,
    checkpoint_directory,
    open_checkpoint,
)
from otcondense.diffusion.loss_lines import CURVE_FILE, curve_text
from otcondense.diffusion.sampler_config import of_trained
from otcondense.errors import InputError

OTHER = "it was sampled from another checkpoint or with other settings"


def check_checkpoints(run: Run) -> Iterator[Problem]:
    """Check the hashes of every checkpoint that exists."""
    names = [name for name in run.store.list("training") if "/checkpoints/" in name]
    for place in sorted({name.rsplit("/", 1)[0] for name in names}):
        try:
            read_checkpoint(run.store, place)
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
        newest = latest_checkpoint(run.store, directory, read_all=True)
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
    if is_sampled or is_measured:
        yield from _check_samples(run, model, method, step, is_complete=is_measured)


def _check_samples(
    run: Run, model: str, method: str, step: int, *, is_complete: bool
) -> Iterator[Problem]:
    """Check that sampled images are of their checkpoint, and all there if they were measured."""
    from jobs.representations.prompts import mark_of, prompts_of
    from otcondense.diffusion.samples import is_sampled, samples_fingerprint, sampling_units

    directory = run.samples_directory(model, method, step)
    config = run.config.models[model].sampling.at_step(step)
    wanted = None
    with suppress(InputError):  # checkpoint and manifest have checks of their own
        training = run.training_directory(model, method)
        state = open_checkpoint(run.store, checkpoint_directory(training, step)).state
        config = of_trained(config, run.chosen_classes(method), state.num_classes)
        weak = None
        if config.autoguidance is not None:
            place = checkpoint_directory(training, config.autoguidance.checkpoint_step)
            weak = open_checkpoint(run.store, place).state
        prompts = ""
        if run.config.models[model].training.has_captions:
            prompts = mark_of(run, prompts_of(run, model, method))
        wanted = samples_fingerprint(config, state, weak, prompts)
    for part in sampling_units(config):
        name = f"{directory}/{part.name}"
        if not run.store.exists(name):
            if is_complete:
                yield Problem(name, MISSING)
        elif wanted is not None and not is_sampled(run.store, directory, part, wanted):
            yield Problem(name, OTHER)
