"""What a training needs before its first step: the chosen images as pixels, and its job.

`python -m jobs.train.prepare RUN MODEL METHOD` does it for a loop of the user's own, and prints the
job as one line of JSON.
"""

import json
import sys
from collections.abc import Sequence
from functools import partial

from jobs.answers.places import check_method
from jobs.command.exit import exit_with
from jobs.run_directory.config import RunConfig
from jobs.run_directory.listing import run_listing
from jobs.run_directory.opening import read_run, working_run
from jobs.run_directory.run import Run
from otcondense.datasets.images import load_images, manifest_images
from otcondense.diffusion import TrainingConfig
from otcondense.diffusion.input_shapes import latent_shape
from otcondense.diffusion.inputs import Inputs, inputs_identity
from otcondense.diffusion.train_job import TrainJob
from otcondense.errors import InputError
from otcondense.near_names import did_you_mean
from otcondense.store import fingerprint, read_fingerprint, read_manifest, stored_metadata
from otcondense.store.images import write_images


def write_training_images(run: Run, method: str) -> None:
    """Write the chosen images as pixels, unless they are up to date."""
    name = run.images_file(method)
    shape = run.config.pixels.shape
    expected = fingerprint([run.manifest_fingerprint(method), shape])
    if read_fingerprint(run.store, name) != expected:
        manifest = read_manifest(run.store, run.manifest(method))
        wanted = manifest_images(manifest, run.config.source, partial(run_listing, run))
        loaded = load_images(wanted, run.config.source, shape)
        write_images(run.store, name, loaded.images, loaded.labels, fingerprint=expected)


def training_inputs(run: Run, config: TrainingConfig, method: str) -> Inputs:
    """Return the places of the latents, tokens and text of a training; "" if they are not used."""
    latents = ""
    autoencoder = ""
    if config.data == "latents":
        latents = run.representation_directory("latents", run.config.latents)
        autoencoder = run.config.latents.model

    tokens = ""
    if config.alignment is not None:
        tokens = run.representation_directory("tokens", run.config.tokens)

    return Inputs(
        manifest=run.manifest(method),
        latents=latents,
        tokens=tokens,
        text=run.text_file() if config.text is True else "",
        autoencoder=autoencoder,
        captions=run.text_directory() if config.has_captions else "",
    )


def training_fingerprint(run: Run, config: TrainingConfig, method: str) -> str:
    """Return the fingerprint of a training run: of its images and of its configuration.

    Latents, tokens and text enter by the model that made them.
    """
    made_from = inputs_identity(run.store, training_inputs(run, config, method))
    if config.data == "latents":
        return fingerprint([run.manifest_fingerprint(method), config.identity(), made_from])

    metadata = stored_metadata(run.store, run.images_file(method))
    assert metadata is not None, "the training images are written first"
    key = [metadata["content"], config.identity()]
    if made_from:
        key.append(made_from)
    if config.weighting == "manifest":
        key.append(run.manifest_fingerprint(method))
    return fingerprint(key)


def training_job(run: Run, name: str, method: str, num_classes: int) -> TrainJob:
    """Return the training of one model on one subset.

    Raises: InputError if latents are needed and missing.
    """
    config = run.config.models[name].training
    inputs = training_inputs(run, config, method)
    images_name = ""
    if config.data == "latents":
        shape = latent_shape(run.store, inputs)
    else:
        shape = run.config.pixels.shape
        images_name = run.images_file(method)

    return TrainJob(
        store_root=run.store.root,
        directory=run.training_directory(name, method),
        images_name=images_name,
        config=config,
        num_classes=num_classes,
        image_shape=shape,
        fingerprint=training_fingerprint(run, config, method),
        inputs=inputs,
        classes=run.chosen_classes(method),
        held_out_name=_held_out_name(run, config),
    )


def _held_out_name(run: Run, config: TrainingConfig) -> str:
    """Return the file of the held-out images for the loss that chooses checkpoints; "" if none."""
    name = run.held_out_pixels_file()
    is_used = config.keep_best == "held_out_loss" and run.store.exists(name)
    return name if is_used else ""


def prepare(config: RunConfig, model: str, method: str) -> TrainJob:
    """Write the inputs of one training of a run, and return its job.

    Raises: InputError for an unknown model or subset, a training that keeps its best checkpoint, or
        if another driver holds the run.
    """
    if model not in config.models:
        raise InputError(
            f"model must be one of the models of run {config.run} ({', '.join(config.models)}), "
            f"found {model}{did_you_mean(model, config.models)}"
        )
    training = config.models[model].training
    if training.keep_best != "none":
        raise InputError(
            f"models.{model}.training.keep_best={training.keep_best} is for `otcondense train`, "
            "which chooses among its checkpoints; train there, or set it to none"
        )
    with working_run(config) as run:
        check_method(run, method)
        if training.data == "pixels":
            write_training_images(run, method)
        job = training_job(run, model, method, len(run_listing(run).classes))
        job.clear_outdated()
        job.check_data()
        return job


def main(arguments: Sequence[str] | None = None) -> None:
    """Prepare one training of a run, print its job, and leave the process."""
    root, model, method = sys.argv[1:] if arguments is None else arguments

    def work() -> None:
        print(json.dumps(prepare(read_run(root).config, model, method).settings()))

    exit_with(work)


if __name__ == "__main__":
    main()
